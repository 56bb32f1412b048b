BEGIN TRANSACTION;
CREATE TABLE attempt (
    id INTEGER PRIMARY KEY AUTOINCREMENT, push TEXT NOT NULL REFERENCES push, batch INTEGER NOT NULL,
    rows TEXT NOT NULL, digest TEXT NOT NULL, sent_at TEXT NOT NULL,
    answered_at TEXT, status INTEGER, verdict TEXT, answer TEXT);
INSERT INTO "attempt" VALUES(1,'489242786cb1-c409dd',0,'[[0, 500]]','66c32029a3e0c7a7f6e052421b716534da13981ce7ad1b10069bbafa2b0e324c','2026-11-24T00:00:00.000003+00:00','2026-11-24T00:00:00.000007+00:00',200,'taken','{"requestId": "468ed0a5-6794-4c8b-9fcb-19d4bac5cc4f", "failed": [{"index": 1, "code": "DI_E_00017", "category": "reference", "message": "no such price list"}, {"index": 4, "code": "DI_E_00017", "category": "reference", "message": "no such price list"}]}');
INSERT INTO "attempt" VALUES(2,'489242786cb1-c409dd',1,'[[500, 503]]','3aedd00c7e9b5bc4a162637a0dbe2c25a795c5ef48c08a56e2c7eb811df11327','2026-11-24T00:00:00.000009+00:00','2026-11-24T00:00:00.020414+00:00',401,'unauthorized','{}');
CREATE TABLE batch (
    push TEXT NOT NULL REFERENCES push, number INTEGER NOT NULL, first INTEGER NOT NULL, stop INTEGER NOT NULL,
    digest TEXT NOT NULL, PRIMARY KEY (push, number));
INSERT INTO "batch" VALUES('489242786cb1-c409dd',0,0,500,'66c32029a3e0c7a7f6e052421b716534da13981ce7ad1b10069bbafa2b0e324c');
INSERT INTO "batch" VALUES('489242786cb1-c409dd',1,500,503,'3aedd00c7e9b5bc4a162637a0dbe2c25a795c5ef48c08a56e2c7eb811df11327');
CREATE TABLE push (
    id TEXT PRIMARY KEY, plan TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL,
    opened_at TEXT NOT NULL, closed_at TEXT, author TEXT, host TEXT, n_rows INTEGER NOT NULL,
    n_batches INTEGER NOT NULL, label TEXT NOT NULL, facts TEXT NOT NULL);
INSERT INTO "push" VALUES('489242786cb1-c409dd','489242786cb1b53aa67dbded3a04038ce90eaa47fc3e4531ef13bbfe444e478e','sandbox','open','2026-11-24T00:00:00.000002+00:00',NULL,'analyst','laptop',503,2,'target sandbox · 127.0.0.1:55789 · contract 2026-04','{"contract": "2026-04", "solution": "QP_OOTB", "operation": "UPSERT", "address": "http://127.0.0.1:55789/api/v2/ingest/object/QP_CUSTOMER_OOTB", "n_left_out": 0, "source_digest": "", "source": "frame", "kind": "full", "n_quarantined": 0, "names": {}, "datetime": null, "timezone": null, "allowed": [], "reason": "", "ledger_version": -1, "kept": {"rows": "f4a54ca1ddfca77455be5a09d09dfe6f9d774818fdc8e9aeee1f71fc2330e982", "delivery": "81418defbf829564b226ba74ec45a075504defb6faf499a7fa3352b299d5854a"}}');
CREATE TABLE receipt (
    id INTEGER PRIMARY KEY AUTOINCREMENT, push TEXT NOT NULL REFERENCES push, batch INTEGER NOT NULL,
    attempt INTEGER, first INTEGER NOT NULL, stop INTEGER NOT NULL, fate TEXT NOT NULL, at TEXT NOT NULL,
    code TEXT NOT NULL, category TEXT NOT NULL, message TEXT NOT NULL, "column" TEXT NOT NULL);
INSERT INTO "receipt" VALUES(1,'489242786cb1-c409dd',0,1,1,2,'refused','2026-11-24T00:00:00.000008+00:00','DI_E_00017','reference','no such price list','');
INSERT INTO "receipt" VALUES(2,'489242786cb1-c409dd',0,1,4,5,'refused','2026-11-24T00:00:00.000008+00:00','DI_E_00017','reference','no such price list','');
INSERT INTO "receipt" VALUES(3,'489242786cb1-c409dd',0,1,0,1,'accepted','2026-11-24T00:00:00.000008+00:00','','','','');
INSERT INTO "receipt" VALUES(4,'489242786cb1-c409dd',0,1,2,4,'accepted','2026-11-24T00:00:00.000008+00:00','','','','');
INSERT INTO "receipt" VALUES(5,'489242786cb1-c409dd',0,1,5,500,'accepted','2026-11-24T00:00:00.000008+00:00','','','','');
CREATE UNIQUE INDEX one_open_push ON push (target) WHERE state = 'open';
CREATE INDEX receipt_push ON receipt (push);
CREATE INDEX attempt_push ON attempt (push);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('attempt',2);
INSERT INTO "sqlite_sequence" VALUES('receipt',5);
COMMIT;
