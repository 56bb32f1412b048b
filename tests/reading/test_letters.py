"""Names of 22 languages in the encodings of their systems: what is wrong is proposed, what is right stays quiet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.reading.letters import better_encodings

WESTERN = {
    "German": "Müller & Söhne; Größe GmbH; Bäckerei Weiß; Jürgen Schäfer; Düsseldorf; Möbel Höffner; Österreich; Köln",
    "French": "Société Générale; Hôtel de la Forêt; Crédit Agricole; François Lefèvre; Évry; Noël Bœuf; Île-de-France",
    "Spanish": "José Muñoz; Peña e Hijos; Construcción López; Málaga; Ángel Núñez; Compañía Española; Güell; Logroño",
    "Portuguese": "João Gonçalves; São Paulo; Construções Irmãos Simões; Conceição; Évora; Avô António; Guimarães",
    "Italian": "Società Caffè Città; Niccolò Forlì; Pietà; Università; Però",
    "Danish": "Søren Jørgensen; Æbleskiver ApS; Århus; Brødrene Kjær; Nørrebro; Værløse; Smørrebrød",
    "Norwegian": "Bjørn Ødegård; Ålesund; Tromsø; Kåre Sæther; Brødrene Bøe",
    "Swedish": "Göran Sjöberg; Åkerström & Söner; Malmö; Örebro; Västerås; Björn Hägglund; Jönköping",
    "Finnish": "Hämäläinen Oy; Mäkelä; Jyväskylä; Pöyry; Yrjö Väisälä; Lähde",
    "Dutch": "Coöperatie België; Daniël; Geïntegreerd; Financiën; Zoë",
    "Icelandic": "Þórður Jónsson; Guðrún Sigurðardóttir; Ísafjörður; Kópavogur; Ævar",
    "Catalan": "Construccions Català; Òscar Vilà; Gràcia; Associació; València",
    "Estonian": "Põldmäe OÜ; Tõnu Jõgi; Võru; Kõiv; Pärnu",
}
OTHER = {
    "Polish": "Łódź Świat; Paweł Wiśniewski; Spółdzielnia; Gdańsk; Żabka; Józef Błaszczyk; Częstochowa; Kraków",
    "Czech": "Dvořák a syn; Jiří Nováček; Česká spořitelna; Plzeň; Žižkov; Růžičková; Škoda; Příbram; Němec",
    "Slovak": "Košice; Kováč a syn; Žilina; Ľudovít Štúr; Trenčín; Piešťany; Nové Mesto; Ondřejová; Šoltés",
    "Hungarian": "Kőszegi Győző; Szőke Tűz Kft.; Erdős Pál; Székesfehérvár; Nagykőrös; Gergő; Füstös Fűszer; Tóth",
    "Romanian": "Bucureşti; Constanţa; Ştefan Ionescu; Braşov; Ploieşti; Mureşan; Piaţa; Târgu Mureş; Iaşi",
    "Croatian": "Kovačević d.o.o.; Đurđević; Šibenik; Petrović; Čakovec; Županja; Požega; Anđelić; Križevci",
    "Slovene": "Škofja Loka; Čebašek; Žalec; Kočevje; Krčevina; Ajdovščina; Novačan; Trbovšek; Medvešček",
    "Turkish": "Yıldız Holding; Şahin İnşaat; Işıkoğlu; Çağdaş; Ağrı; Doğuş; Güneş; Beşiktaş; Kırıkkale",
    "Greek": "Παπαδόπουλος ΑΕ; Αθήνα; Θεσσαλονίκη; Γεωργίου; Οικονόμου; Ελληνική Τράπεζα; Πάτρα",
    "Russian": "ООО Ромашка; Иванов; ЗАО «Заря»; Москва; Екатеринбург; Щукин; Торговый дом; Фёдоров",
    "Bulgarian": "Иван Петров ЕООД; София; Търговище; Българска банка; Велико Търново; Димитров; Пловдив",
    "Ukrainian": "Київ; Шевченко; Львів; Українська; Товариство; Дніпро; Чернівці",
    "Japanese": "株式会社東京商事; ㈱日本テレビ; 山田太郎; トヨタ自動車; 大阪市; 有限会社さくら; ソニー",
    "Chinese": "上海贸易有限公司; 北京科技; 李明; 广州市; 张伟; 中国银行; 深圳电子",
    "Chinese, traditional": "台灣電子股份有限公司; 王小明; 臺北市; 國際商業銀行; 陳先生; 高雄; 張學友",
    "Korean": "삼성전자; 주식회사 한국; 김철수; 서울특별시; 현대자동차; 부산; 이영희",
}
ENCODINGS = {
    "cp1250": ["Polish", "Czech", "Slovak", "Hungarian", "Romanian", "Croatian", "Slovene"],
    "iso-8859-2": ["Polish", "Czech", "Slovak", "Hungarian", "Romanian", "Croatian"],
    "cp1254": ["Turkish"],
    "iso-8859-9": ["Turkish"],
    "cp1253": ["Greek"],
    "cp1251": ["Russian", "Bulgarian", "Ukrainian"],
    "cp932": ["Japanese"],
    "gbk": ["Chinese"],
    "cp950": ["Chinese, traditional"],
    "cp949": ["Korean"],
}


def lines(names: str, encoding: str) -> list[bytes]:
    return [f"C{n:03};{name.strip()}\n".encode(encoding) for n, name in enumerate(names.split(";"))]


@pytest.mark.parametrize("language", WESTERN)
def test_names_that_are_cp1252_stay_quiet_together_and_alone(language: str) -> None:
    encoded = lines(WESTERN[language], "cp1252")
    assert better_encodings(b"".join(encoded), "cp1252") == []
    assert [name for name in encoded if better_encodings(name, "cp1252")] == []


def test_the_names_of_all_western_languages_in_one_file_stay_quiet() -> None:
    assert better_encodings(b"".join(lines(";".join(WESTERN.values()), "cp1252")), "cp1252") == []


@pytest.mark.parametrize(
    ("language", "encoding"), [(language, name) for name, languages in ENCODINGS.items() for language in languages]
)
def test_the_encoding_in_which_names_read_as_words_is_proposed(language: str, encoding: str) -> None:
    sample = b"".join(lines(OTHER[language], encoding))
    best = better_encodings(sample, "cp1252")[0]
    assert sample.decode(best) == sample.decode(encoding)


@pytest.mark.parametrize("language", ["German", "French", "Spanish", "Portuguese", "Italian", "Danish", "Swedish"])
def test_mac_roman_is_proposed(language: str) -> None:
    assert better_encodings(b"".join(lines(WESTERN[language], "mac_roman")), "cp1252")[0] == "mac_roman"


def test_iso_8859_15_is_proposed_for_its_own_letters() -> None:
    sample = "Škoda Žižka\nŒuvre de Bœuf\nCœur\n".encode("iso-8859-15")
    assert better_encodings(sample, "cp1252") == ["iso-8859-15"]


def test_utf8_with_a_damaged_byte_is_proposed_as_such() -> None:
    sample = "".join(name + "\n" for name in WESTERN["German"].split(";")).encode() + b"Caf\xe9\n"
    assert better_encodings(sample, "cp1252") == ["utf-8"]


@pytest.mark.parametrize("stray", ["Œwiat", "Mÿller", "Pawe³czyk", "Dvoøák", "£ód", "Größe³", "MÃ¼ller"])
@pytest.mark.parametrize("rest", ["", "Müller\nWeiß\nDüsseldorf\n", "Société\nGénérale\n"])
def test_one_wrong_word_does_not_shout(stray: str, rest: str) -> None:
    assert better_encodings(f"{rest}{stray}\n".encode("cp1252"), "cp1252") == []


def test_signs_are_no_letters() -> None:
    odd = "L’Oréal; Nestlé®; Café „Zum Löwen“; 5 µm; ½ Zoll; Nº 1; Mª José; £5 Shop; § 12; Ø 12 mm; Straße–Süd; 3 m²"
    assert better_encodings(b"".join(lines(odd, "cp1252")), "cp1252") == []


def test_an_encoding_that_cannot_be_proposed_is_not_taken_for_another() -> None:
    # KOI8-R is none of those that can be proposed: read as cp1251 it has capitals inside its words.
    assert (
        better_encodings(b"".join(lines(OTHER["Russian"].replace("«", "").replace("»", ""), "koi8-r")), "cp1252") == []
    )


def test_a_file_in_utf8_or_plain_cp1252_does_not_pay_for_it(tmp_path: Path) -> None:
    for name, encoding in (("a.csv", "utf-8"), ("b.csv", "cp1252")):
        text = "customer_id,updated_at,customer_name\n1,2026-01-28T10:00:00Z,Müller\n"
        (tmp_path / name).write_bytes(text.encode(encoding))
    program = (
        "import sys; from toolkit.reading import read_customers\n"
        f"read = [read_customers(rf'{tmp_path}/{{name}}.csv') for name in 'ab']\n"
        "print(len(read), 'charset_normalizer' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
