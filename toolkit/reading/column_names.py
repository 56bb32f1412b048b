"""What exports call the columns of a customer table, and what their cells look like.

The names are English, German, French, Spanish, Italian, Dutch and Polish, and those of SAP, Salesforce, Dynamics,
HubSpot, NetSuite, Oracle, Odoo and ERPNext. A name is compared without its case, accents, spaces and punctuation:
``Kunden-Nr.`` is ``kundennr``. Outside the model this is the only room of the package that knows the columns of the
customer table by name: another table needs its own words here. A custom attribute has its own name and no others.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from rapidfuzz import fuzz, process

from toolkit.model import CUSTOMER, ID, TIME, Column
from toolkit.reading.column_content import MANY_ROWS, Content

_USUAL = {
    ID: """customer number, customer no, customer nr, customer num, customer code, customer key, cust id, cust no,
        cust num, cust code, client id, client number, client no, client code, account id, account number, account no,
        account code, debtor no, debtor number, debitor no, external customer id, erp customer id, legacy customer id,
        kundennummer, kundennr, kunden nr, kunden nummer, kundenkennung, kunden id, kd nr, kdnr, knr, debitor,
        debitorennummer, debitorennr, debitor nr, debitorenkonto, kundenkonto, mandantennummer,
        numero client, no client, n client, num client, code client, identifiant client, id client, numero de client,
        code du client, compte client, ref client, reference client, code tiers,
        numero de cliente, numero cliente, no cliente, nro cliente, num cliente, codigo de cliente, codigo cliente,
        id cliente, cod cliente, clave cliente,
        codice cliente, numero cliente, cod cli, codcli, codice anagrafico, id del cliente,
        klantnummer, klantnr, klant nr, klant id, klantcode, debiteurnummer, debiteurnr, debiteur nr, relatienummer,
        numer klienta, nr klienta, id klienta, kod klienta, numer kontrahenta, kod kontrahenta, id kontrahenta,
        nr kontrahenta, kunnr, kna1 kunnr, debitor id, entity id, party id, party number, an8, aban8,
        accountid, accountnumber, hs object id, record id, business partner, business partner number, bu partner""",
    TIME: """updated, updated on, update date, update time, update timestamp, last updated, last updated at,
        last update, last update date, last updated date, date updated, modified, modified at, modified on,
        modified date, modification date, date modified, last modified, last modified at, last modified on,
        last modified date, last date modified, system modified at, system modstamp, last modified timestamp,
        changed at, changed on, change date, last change, last changed, last changed on, date of last change,
        geandert, geandert am, anderungsdatum, letzte anderung, letzte anderung am, zuletzt geandert,
        zuletzt geandert am, datum der letzten anderung, aktualisiert, aktualisiert am, letzte aktualisierung,
        anderungszeitpunkt, stand vom, bearbeitet am, zuletzt bearbeitet,
        modifie le, date de modification, date modification, derniere modification, date de derniere modification,
        date derniere modification, mis a jour le, date de mise a jour, date mise a jour, derniere mise a jour,
        date maj, maj le, actualizado, actualizado el, fecha de actualizacion, fecha actualizacion,
        ultima actualizacion, fecha de modificacion, fecha modificacion, ultima modificacion, modificado el,
        fecha ultima modificacion, data di modifica, data modifica, ultima modifica, data ultima modifica,
        modificato il, aggiornato il, data aggiornamento, ultimo aggiornamento, data ultimo aggiornamento,
        gewijzigd, gewijzigd op, wijzigingsdatum, laatste wijziging, laatst gewijzigd, laatst gewijzigd op,
        datum laatste wijziging, bijgewerkt op, data modyfikacji, data ostatniej modyfikacji, ostatnia modyfikacja,
        zmodyfikowano, data zmiany, ostatnia zmiana, data aktualizacji, zaktualizowano, aedat, aenderungsdatum,
        laeda, udate, chdat, lastmodifieddate, modifiedon, hs lastmodifieddate, write date, upmj, last update dt""",
    "customer_name": """cust name, client name, account name, debtor name, company name, company, legal name,
        legal entity name, business name, organisation name, organization name, registered name, trading name,
        entity name, party name, full name of customer, name of customer,
        kundenname, name des kunden, firma, firmenname, firmenbezeichnung, name der firma, unternehmen,
        unternehmensname, debitorenname, kundenbezeichnung,
        raison sociale, nom client, nom du client, denomination, denomination sociale, nom de la societe,
        nom societe, societe, nom de l entreprise, intitule client,
        nombre del cliente, nombre de cliente, nombre cliente, razon social, nombre de la empresa, nombre empresa,
        empresa, denominacion social, ragione sociale, nome cliente, nome del cliente, denominazione, azienda,
        denominazione sociale, nome azienda,
        klantnaam, naam klant, naam van de klant, bedrijfsnaam, bedrijf, naam bedrijf, debiteurnaam, handelsnaam,
        nazwa klienta, nazwa firmy, nazwa kontrahenta, firma klienta, pelna nazwa,
        name1, name 1, kna1 name1, alph, abalph, name org1, companyname, search name of customer""",
    "customer_category": """category, customer group, cust group, customer class, customer segment, customer type,
        client category, client type, client segment, account type, account category, account segment, segment,
        market segment, sector, gics sector, market sector, customer classification, customer class code,
        customer type code,
        kundengruppe, kunden gruppe, kundenkategorie, kundenklasse, kundensegment, kundentyp, kundenart, kategorie,
        categorie client, categorie, groupe client, groupe de clients, segment client, type de client, type client,
        famille client, secteur,
        categoria, categoria de cliente, categoria cliente, grupo de clientes, grupo cliente, grupo de cliente,
        tipo de cliente, tipo cliente, segmento, segmento de cliente, categoria del cliente, gruppo clienti,
        gruppo cliente, classe cliente, settore,
        klantgroep, klantcategorie, klantsegment, klanttype, soort klant, klantsoort, debiteurengroep,
        grupa klientow, grupa klienta, kategoria, kategoria klienta, segment klienta, typ klienta,
        grupa kontrahentow, rodzaj klienta, kdgrp, knvv kdgrp, customertypecode, category id""",
    "customer_subcategory": """sub category, subcategory, customer sub category, customer subgroup, sub group, subgroup,
        sub segment, subsegment, sub sector, subsector, sub industry, gics sub industry, industry, industry code,
        industry type, line of business, client subcategory,
        branche, branchen, branchencode, branchenschlussel, wirtschaftszweig, unterkategorie, untergruppe,
        kundenuntergruppe, teilsegment, subsegment, teilbranche,
        sous categorie, sous groupe, sous segment, sous secteur, sous categorie client, secteur d activite, metier,
        branche d activite, subcategoria, subcategoria de cliente, subgrupo, subsegmento, ramo, sector de actividad,
        sottocategoria, sottogruppo, sotto categoria, sottosegmento, settore merceologico, settore di attivita,
        bedrijfstak, subcategorie, subgroep, klantsubgroep, branchecode, branza, podkategoria, podgrupa, podsegment,
        brsch, kna1 brsch, industrycode, industry id, sic description, naics description""",
    "customer_price_list_id": """price list, price list id, price list code, price list no, price list number,
        pricelist, pricelist id, pricelist code, price list name, customer price list, price group,
        customer price group, price level, default price level, price book, price book id, pricebook, pricebook2,
        pricebook id, pricing group, default price list, price code, price list type, price category, price tier,
        preisliste, preislisten id, preislistennummer, preislistennr, preislisten nr, preislistencode,
        preislistentyp, preisgruppe, preiskategorie, preisklasse, kundenpreisliste, kundenpreisgruppe, preisstufe,
        liste de prix, code liste de prix, tarif, code tarif, grille tarifaire, categorie tarifaire, liste tarifaire,
        groupe de prix, lista de precios, tarifa, codigo tarifa, lista precios, id lista de precios,
        grupo de precios, listino, listino prezzi, codice listino, cod listino, gruppo prezzi,
        prijslijst, prijslijst id, prijslijstcode, prijsgroep, prijscategorie, prijsklasse,
        cennik, id cennika, kod cennika, lista cen, grupa cenowa, poziom cen,
        pltyp, knvv pltyp, pricebook2 id, defaultpricelevelid, property product pricelist, pricelevel""",
    "source": """record source, data source, source system, origin, source of record, created by system, system source,
        herkunft, quelle, datenquelle, quellsystem, herkunftssystem, datenherkunft,
        origine, provenance, systeme source, source de donnees, source des donnees, origen, fuente, sistema de origen,
        origen de datos, fonte, sistema di origine, provenienza, origine dati, bron, bronsysteem, herkomst,
        gegevensbron, zrodlo, zrodlo danych, system zrodlowy, pochodzenie""",
}

# Alone, these names fit much else as well: the content has to agree.
_BROAD = {
    ID: """id, no, nr, number, nummer, code, key, ref, reference, customer, client, account, kunde, cliente, klant,
        klient, kontrahent, identifier, symbol, ticker, internal id, numero, codigo, codice, kod, numer, uid, konto""",
    TIME: """date, datum, fecha, data, timestamp, time stamp, time, zeitstempel, stand, valid from, gultig ab, version,
        as of, datetime, horodatage, date de valeur, effective date, valid since, znacznik czasu, tijdstempel""",
    "customer_name": """name, nom, nombre, nome, naam, nazwa, bezeichnung, description, beschreibung, customer, client,
        account, kunde, cliente, klant, klient, kontrahent, organisation, organization, security, title, libelle,
        intitule, descripcion, descrizione, omschrijving, opis, issuer, search name, suchbegriff, sortl""",
    "customer_category": """group, gruppe, groupe, grupo, gruppo, groep, grupa, class, klasse, classe, clase, type, typ,
        tipo, tier, industry, branche, channel, vertriebsweg, kanal, vtweg, ktokd, classification, abc class""",
    "customer_subcategory": """sector, activity, activite, actividad, attivita, specialty, sub type, subtype,
        sub class, subclass, niche, vertical, sic code, naics code, nace code, nace, naf, code naf, ateco, pkd""",
    "customer_price_list_id": """pl, price, rate, rate card, list, liste, konda, preis, discount group, rabattgruppe,
        price plan, plan""",
    "source": """src, system, account source, lead source, original source, created by, channel, entered by""",
}

# A name that has one of these words too means something else.
_TURNING_WORDS = """created creation create added erstellt erfasst angelegt anlage anlagedatum cree creado creato
    aangemaakt utworzenia utworzono erdat opened birth geburtsdatum founded founding since until expires expiry due
    deleted geloscht supprime start end closed last-order order invoice rechnung bestellung visit login
    parent master group-parent ubergeordnet konzern contact kontakt ansprechpartner person first vorname nachname
    street strasse rue calle via city ort stadt ville ciudad citta plaats miasto zip plz postal country land pays pais
    paese region state phone telefon fax mail email website url owner sales rep sachbearbeiter vertreter verkaufer
    user employee vendor supplier lieferant fournisseur proveedor fornitore leverancier dostawca kreditor lifnr
    tax vat ust steuernummer siret siren nip regon cif ship shipping bill billing delivery liefer payment zahlungs
    currency wahrung devise bank iban posting buchungsgruppe disc discount rabatt credit product item article material
    artikel cik isin lei duns merchant quote sale"""
# A name may have these words too and still means the same.
_NEUTRAL_WORDS = """kna1 knvv knb1 but000 sap crm erp sf account accounts customer customers kunde kunden client clients
    cliente klant klient cust master stamm id code name nr no text value the of de du del des der bezeichnung gics key c
    sys record data field custentity"""

_BROAD_SCORE, _USUAL_SCORE = 0.6, 0.9
"""The scores of a name that fits other columns too, and of a usual one; the schema's own name has 1."""
_SLIP = 88
"""Likeness, of 100, from which on another spelling is a typing error."""
_SHORTEST = 6
"""Characters that a name must have to be compared so."""
_SYSTEMS = {"erp", "sap", "crm"}
"""What exports write where the schema has a closed list of who created a row; a correction replaces them."""


@dataclass(frozen=True)
class Match:
    """How well a file column's name, or its cells, match a schema column: a score from 0 to 1, and why.

    Attributes
    ----------
    against
        What speaks for another column; empty where nothing does.
    alone
        The most that the cells are worth where the name says nothing.
    """

    score: float
    reason: str
    against: str = ""
    alone: float = 0.0


def fold_name(name: str) -> str:
    """Fold a column's name to words without case, accents or punctuation, ``ae`` as ``ä``.

    Examples
    --------
    >>> fold_name("Geändert_am"), fold_name("LastModifiedDate"), fold_name("Price_List__c"), fold_name("N° client")
    ('geandert am', 'last modified date', 'price list', 'n client')
    """
    name = re.sub(r"__c$", "", name.strip())
    name = re.sub(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Ý])", " ", name).casefold().replace("ł", "l").replace("°", " ")
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    words = "".join(c if c.isalnum() else " " for c in plain).split()
    return re.sub(r"([aou])e(?=[a-z])", r"\1", " ".join(words))


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fold_name(phrase) for phrase in text.replace("\n", " ").split(",")))


def _compact(name: str) -> str:
    return name.replace(" ", "")


_PHRASES = {column: _phrases(text) for column, text in _USUAL.items()}
_TURNING = {fold_name(word) for word in _TURNING_WORDS.split()}
_NEUTRAL = {fold_name(word) for word in _NEUTRAL_WORDS.split()}


@cache
def _exact(column: str) -> dict[str, float]:
    """Return each name of a schema column without spaces, and its score."""
    return {
        **{_compact(p): _BROAD_SCORE for p in _phrases(_BROAD.get(column, ""))},
        **{_compact(p): _USUAL_SCORE for p in _PHRASES.get(column, ())},
        _compact(fold_name(column)): 1.0,
    }


def match_name(name: str, column: str) -> Match:
    """Return how well a file column's name matches a schema column.

    Examples
    --------
    >>> match_name("Kunden-Nr.", ID).score, match_name("Parent Account ID", ID).against
    (0.9, "the name has 'parent'")
    """
    folded = fold_name(name)
    compact, known = _compact(folded), _exact(column)
    if score := known.get(compact, 0.0):
        reasons = {1.0: "the name is the schema's own", _USUAL_SCORE: "the name is a usual one"}
        return Match(score, reasons.get(score, "the name may mean it, among others"))
    turning = [f"the name has {word!r}" for word in folded.split() if word in _TURNING]
    against = turning[0] if turning else ""
    held = [p for p in (*_PHRASES.get(column, ()), fold_name(column)) if f" {p} " in f" {folded} "]
    if held:
        phrase = max(held, key=len)
        others = f" {folded} ".replace(f" {phrase} ", " ").split()
        plain = all(word in _NEUTRAL for word in others)
        return Match(_USUAL_SCORE * (0.95 if plain else 0.8), f"the name holds {phrase!r}", against)
    if len(compact) >= _SHORTEST:
        near = process.extractOne(compact, list(known), scorer=fuzz.ratio, score_cutoff=_SLIP)
        if near is not None and len(near[0]) >= _SHORTEST:
            return Match(known[near[0]] * 0.85, f"the name is nearly {near[0]!r}", against)
    return Match(0.0, "", against)


def match_content(content: Content, column: Column) -> Match:
    """Return how well a file column's cells match a schema column."""
    if not content.n_filled:
        return Match(0.0, "it is empty", against="it is empty" if content.n_rows else "")
    if column.name == TIME:
        return _match_times(content)
    if content.times is not None and content.times.state != "unreadable":
        return Match(0.0, "it holds times", against="it holds times")
    many = content.n_rows >= MANY_ROWS
    counts = f"{content.n_distinct:,} distinct values in {content.n_filled:,} cells"
    if column.name == ID:
        why_not = "its values repeat" if many and content.unique < 0.2 else "its values are texts"
        against = why_not if content.codes < 0.5 or (many and content.unique < 0.2) else ""
        more = ", short and without spaces" if content.codes > 0.9 else ""
        return Match(0.5 * content.codes + 0.5 * content.unique, counts + more, against, alone=0.52)
    if column.values:
        share = content.listed({*column.values, *_SYSTEMS})
        said = "its values are the schema's, or a system's name" if share else "no value is one of the schema's"
        return Match(share, said, against=said if share < 0.5 else "", alone=0.9)
    if column.name == "customer_name":
        against = "its values repeat or are no words" if content.words < 0.5 or (many and content.unique < 0.3) else ""
        legal = content.legal_forms
        said = f"{legal:.0%} have a legal form" if legal >= 0.1 else "texts that hardly repeat"
        score = 0.5 * min(1.0, legal / 0.3) + 0.3 * content.unique + 0.2 * (1 - content.codes)
        return Match(score, against or said, against, alone=0.6)
    if column.name not in CUSTOMER.names:
        return Match(0.5, counts)
    against = "its values are amounts" if content.amounts > 0.5 else ""
    against = against or ("its values hardly repeat" if many and content.unique > 0.5 else "")
    return Match(0.6 * content.groups, against or counts, against)


def _match_times(content: Content) -> Match:
    times = content.times
    if times is None or times.state == "none":
        return Match(0.0, "its cells are no times", against="its cells are no times")
    share = times.share * (0.6 if times.state == "unreadable" else 1.0)
    return Match(share, f"{times.n_times:,} of {times.n_cells:,} cells are times", alone=0.55)
