"""The names that exports give their columns, and what the cells of each column look like."""

from __future__ import annotations

import pandas as pd
import pytest

from toolkit.model import CUSTOMER
from toolkit.reading import suggest_mapping
from toolkit.reading.column_names import match_name

HEADERS = [
    ("Kundennummer", "customer_id"), ("Kunden-Nr.", "customer_id"), ("KUNNR", "customer_id"),
    ("Kd.-Nr.", "customer_id"),
    ("Customer No.", "customer_id"), ("CUST_ID", "customer_id"), ("AccountNumber", "customer_id"),
    ("N° client", "customer_id"), ("Code client", "customer_id"), ("Número de cliente", "customer_id"),
    ("Codice cliente", "customer_id"), ("Klantnummer", "customer_id"), ("Numer klienta", "customer_id"),
    ("Kundenummer", "customer_id"), ("KNA1-KUNNR", "customer_id"), ("Customer-ID", "customer_id"),
    ("Geändert am", "updated_at"), ("geaendert_am", "updated_at"), ("LastModifiedDate", "updated_at"),
    ("modifiedon", "updated_at"), ("hs_lastmodifieddate", "updated_at"), ("AEDAT", "updated_at"),
    ("Date de modification", "updated_at"), ("Fecha de actualización", "updated_at"), ("Data modifica", "updated_at"),
    ("Laatst gewijzigd", "updated_at"), ("Data modyfikacji", "updated_at"), ("write_date", "updated_at"),
    ("Raison sociale", "customer_name"), ("Firma", "customer_name"), ("NAME1", "customer_name"),
    ("Razón social", "customer_name"), ("Ragione sociale", "customer_name"), ("Bedrijfsnaam", "customer_name"),
    ("Nazwa firmy", "customer_name"), ("companyname", "customer_name"), ("Account Name", "customer_name"),
    ("KDGRP", "customer_category"), ("Kundengruppe", "customer_category"), ("Customer Group", "customer_category"),
    ("Catégorie client", "customer_category"), ("Klantgroep", "customer_category"),
    ("Branche", "customer_subcategory"), ("BRSCH", "customer_subcategory"), ("Sous-catégorie", "customer_subcategory"),
    ("Branża", "customer_subcategory"), ("PLTYP", "customer_price_list_id"), ("Preisliste", "customer_price_list_id"),
    ("Price_List__c", "customer_price_list_id"), ("Listino prezzi", "customer_price_list_id"),
    ("Pricebook2Id", "customer_price_list_id"), ("Cennik", "customer_price_list_id"), ("Herkunft", "source"),
    ("Źródło danych", "source"), ("Bron", "source"), ("Customer Price List ID", "customer_price_list_id"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "column"), HEADERS)
def test_a_usual_name_matches_its_column_best(name: str, column: str) -> None:
    scores = {c: match_name(name, c).score for c in CUSTOMER.names}
    assert scores[column] >= 0.7
    assert [c for c, s in scores.items() if s >= scores[column]] == [column]


@pytest.mark.parametrize("name", ["Parent Account ID", "Contact Name", "Created Date", "Ort", "E-Mail"])
def test_a_name_of_something_else_is_not_taken(name: str) -> None:
    frame = pd.DataFrame({name: ["alpha one", "beta two", "gamma six"]})
    assert suggest_mapping(frame).columns == {}
