# SPDX-License-Identifier: Apache-2.0
#
# Prints the corpus "faker", one JSON object a line: {"locale", "region", "key", "parts"}, where a part is a text, or a list of a text, its
# class, its form and whether its label is open. Values and the sentences around them are Faker's; the words before a
# value are those of the table below. python-stdnum judges what has check digits.
#
#   python faker.py SEED SAMPLES_A_LOCALE
import datetime
import importlib
import ipaddress
import json
import random
import re
import sys
import warnings

from faker import Faker
from stdnum import iban, luhn

warnings.simplefilter("ignore")

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)


class Stopped(type):
    """What is a date to others is one to a class whose clock stands."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, cls.__bases__[0])


class Datetime(datetime.datetime, metaclass=Stopped):
    @classmethod
    def now(cls, tz=None):
        return NOW.astimezone(tz) if tz else NOW.replace(tzinfo=None)

    utcnow = now
    today = now


class Date(datetime.date, metaclass=Stopped):
    @classmethod
    def today(cls):
        return NOW.date()


def stop_clock():
    """Faker draws times up to now: were it today's, the same seed would make another corpus each time."""
    for name, module in list(sys.modules.items()):
        if name.startswith("faker."):
            for key, value in list(vars(module).items()):
                if value is datetime.datetime:
                    setattr(module, key, Datetime)
                elif value is datetime.date:
                    setattr(module, key, Date)

# locale: (words before a telephone number, words before a national ID, stdnum's modules for it)
LOCALES = {
    "ar_AE": (["هاتف", "رقم الجوال"], [], []),
    "bg_BG": (["телефон", "тел."], ["ЕГН"], ["bg.egn"]),
    "cs_CZ": (["telefon", "mobil"], ["rodné číslo"], ["cz.rc"]),
    "da_DK": (["telefon", "tlf."], ["CPR-nummer"], ["dk.cpr"]),
    "de_AT": (["Telefon", "Handy"], ["Sozialversicherungsnummer"], ["at.vnr"]),
    "de_CH": (["Telefon", "Natel"], ["AHV-Nummer"], ["ch.ssn"]),
    "de_DE": (["Telefonnummer", "Tel."], ["Steuer-ID"], ["de.idnr"]),
    "el_GR": (["τηλέφωνο", "κινητό"], ["ΑΜΚΑ"], ["gr.amka"]),
    "en_AU": (["phone", "mobile"], ["TFN"], ["au.tfn"]),
    "en_CA": (["phone", "cell"], ["SIN"], ["ca.sin"]),
    "en_GB": (["telephone", "mobile number"], ["NI number"], []),
    "en_IN": (["mobile", "phone no."], ["Aadhaar"], ["in_.aadhaar"]),
    "en_NZ": (["phone", "mobile"], [], []),
    "en_US": (["phone number", "cell"], ["SSN"], []),
    "es_AR": (["teléfono", "celular"], ["CUIT"], ["ar.cuit"]),
    "es_CL": (["teléfono", "fono"], ["RUT"], ["cl.rut"]),
    "es_ES": (["teléfono", "móvil"], ["NIF"], ["es.dni", "es.nie"]),
    "es_MX": (["teléfono", "cel."], ["CURP"], ["mx.curp"]),
    "et_EE": (["telefon"], ["isikukood"], ["ee.ik"]),
    "fi_FI": (["puhelin", "puh."], ["henkilötunnus"], ["fi.hetu"]),
    "fr_CH": (["téléphone"], ["numéro AVS"], ["ch.ssn"]),
    "fr_FR": (["téléphone", "portable"], ["numéro de sécurité sociale"], ["fr.nir"]),
    "he_IL": (["טלפון", "נייד"], ["תעודת זהות"], ["il.idnr"]),
    "hi_IN": (["फ़ोन", "मोबाइल"], ["आधार"], ["in_.aadhaar"]),
    "hr_HR": (["telefon", "mobitel"], ["OIB"], ["hr.oib"]),
    "hu_HU": (["telefon", "tel."], ["személyi szám"], ["hu.anum"]),
    "id_ID": (["telepon", "nomor HP"], [], []),
    "it_IT": (["telefono", "cellulare"], ["codice fiscale"], ["it.codicefiscale"]),
    "ja_JP": (["電話番号", "携帯"], [], []),
    "ko_KR": (["전화번호", "휴대폰"], ["주민등록번호"], ["kr.rrn"]),
    "lt_LT": (["telefonas", "tel."], ["asmens kodas"], ["lt.asmens"]),
    "nl_BE": (["telefoon", "gsm"], ["rijksregisternummer"], ["be.nn"]),
    "nl_NL": (["telefoonnummer", "mobiel"], ["BSN"], ["nl.bsn"]),
    "no_NO": (["telefon", "mobil"], ["fødselsnummer"], ["no.fodselsnummer"]),
    "pl_PL": (["telefon", "tel. kom."], ["PESEL"], ["pl.pesel"]),
    "pt_BR": (["telefone", "celular"], ["CPF"], ["br.cpf"]),
    "pt_PT": (["telefone", "telemóvel"], ["NIF"], ["pt.nif"]),
    "ro_RO": (["telefon", "nr. de telefon"], ["CNP"], ["ro.cnp"]),
    "ru_RU": (["телефон", "тел."], ["ИНН"], ["ru.inn"]),
    "sk_SK": (["telefón", "mobil"], ["rodné číslo"], ["cz.rc"]),
    "sl_SI": (["telefon"], ["EMŠO"], ["si.emso"]),
    "sv_SE": (["telefon", "mobilnummer"], ["personnummer"], ["se.personnummer"]),
    "th_TH": (["โทรศัพท์", "เบอร์โทร"], ["เลขประจำตัวประชาชน"], ["th.pin"]),
    "tr_TR": (["telefon", "cep telefonu"], ["T.C. kimlik no"], ["tr.tckimlik"]),
    "uk_UA": (["телефон", "моб."], ["РНОКПП"], ["ua.rntrc"]),
    "vi_VN": (["điện thoại", "SĐT"], [], []),
    "zh_CN": (["电话", "手机号"], ["身份证号"], ["cn.ric"]),
    "zh_TW": (["電話", "手機"], ["身分證字號"], []),
}

# The ranges that networks give out today, by the first digits: Visa, Mastercard, American Express, Diners Club, JCB, Discover, Maestro, UnionPay, RuPay.
NETWORKS = [
    ("4", "4"), ("51", "55"), ("2221", "2720"), ("34", "34"), ("37", "37"), ("300", "305"), ("36", "36"), ("38", "39"), ("3528", "3589"), ("6011", "6011"), ("644", "659"),
    ("50", "50"), ("56", "58"), ("6304", "6304"), ("6759", "6763"), ("62", "62"), ("60", "60"), ("81", "82"),
]

# What is nobody's: Faker's methods, and the keys that such values have.
NEGATIVES = [
    ("paragraph", "description"), ("text", "message"), ("company", "company"), ("catch_phrase", "slogan"), ("job", "title"), ("bs", "note"),
    ("user_agent", "user_agent"), ("uri", "url"), ("uuid4", "id"), ("ean13", "barcode"), ("ean8", "ean"), ("isbn13", "isbn"), ("isbn10", "isbn"),
    ("iso8601", "created_at"), ("date", "order.date"), ("time", "at"), ("unix_time", "ts"), ("pyint", "count"), ("pyfloat", "value"), ("pydecimal", "amount"),
    ("md5", "checksum"), ("sha1", "hash"), ("sha256", "digest"), ("file_path", "path"), ("hostname", "host"), ("slug", "slug"), ("hex_color", "color"),
    ("locale", "locale"), ("mime_type", "mime"), ("pricetag", "price"), ("bothify", "code"), ("postcode", "postcode"), ("city", "city"), ("street_address", "street"),
    ("address", "shipping"), ("numerify", "seat"), ("android_platform_token", "platform"), ("ios_platform_token", "platform"), ("nic_handle", "handle"),
    ("upc_a", "upc"), ("color_name", "color"), ("currency_code", "currency"), ("timezone", "tz"), ("cryptocurrency_code", "coin"), ("linux_processor", "cpu"),
]


class Maker:
    def __init__(self, locale, seed):
        self.locale = locale
        self.fake = Faker(locale)
        stop_clock()
        if locale == "it_IT":  # a list made of a set, whose order is another each time
            for provider in self.fake.get_providers():
                if hasattr(provider, "cities"):
                    provider.cities = sorted(provider.cities)
        self.fake.seed_instance("%s %d" % (locale, seed))
        random.seed("%s %d" % (locale, seed))  # some locales draw from what is everyone's
        self.random = random.Random("%s %d" % (locale, seed))
        self.phone_words, self.id_words, modules = LOCALES[locale]
        self.modules = [importlib.import_module("stdnum." + name) for name in modules]

    def sentence(self):
        return self.fake.sentence(nb_words=self.random.randint(4, 12))

    def emit(self, key, *parts):
        print(json.dumps({"locale": self.locale, "region": self.locale[3:], "key": key, "parts": parts}, ensure_ascii=False))

    def among(self, value, *before):
        """Puts the value between two sentences of Faker's, or behind one, or before one."""
        parts = list(before) + [value]
        how = self.random.randrange(4)
        if how != 0:
            parts = [self.sentence() + " "] + parts
        if how != 1:
            parts.append(self.random.choice([". ", " ", ", ", "; ", "\n"]) + self.sentence())
        self.emit(self.random.choice(["message", "comment", "body", "note"]), *parts)

    def glue(self):
        return self.random.choice([": ", " ", ":", " - "])

    def email(self):
        value = self.random.choice([self.fake.email, self.fake.company_email, self.fake.free_email, self.fake.ascii_safe_email])()
        self.among([value, "email", "plain", False])

    def phone(self):
        # Whether it is valid is asked in Go, of libphonenumber.
        value = [self.fake.phone_number(), "phone", "", False]
        how = self.random.randrange(4)
        if how == 0:
            self.emit(self.random.choice(["phone", "contact.phone_number", "mobile"]), value[:2] + ["under a key", False])
        elif how == 1:
            self.among(value[:2] + ["without a word", False])
        else:
            self.among(value[:2] + ["after a word", False], self.random.choice(self.phone_words), self.glue())

    def card(self):
        value = self.fake.credit_card_number()
        given_out = len(value) >= 14 and luhn.is_valid(value) and any(int(low) <= int(value[:len(low)]) <= int(high) for low, high in NETWORKS)
        self.among([value, "payment_card", "%d digits, begins with %s%s" % (len(value), value[:1], "" if given_out else ", not given out"), not given_out])

    def iban(self):
        value = self.fake.iban()
        if self.random.random() < 0.5:
            value = " ".join(value[i:i + 4] for i in range(0, len(value), 4))
        ok = iban.is_valid(value, check_country=False) and iban.is_valid(value)
        self.among([value, "iban", "by country" if ok else "refused by python-stdnum", not ok])

    def ssn(self):
        if not self.id_words:
            return self.negative()
        value = self.fake.ssn()
        if self.locale == "es_ES":
            value = self.random.choice([self.fake.nif, self.fake.nie])()
        elif self.locale == "es_MX":
            value = self.fake.curp()
        elif self.locale == "en_IN":
            value = self.fake.aadhaar_id()
        elif self.locale == "es_CL":
            value = self.fake.rut()
        # Where a locale has no IDs of its own Faker gives the United States' form, which a check digit may fit by luck.
        own = self.locale == "en_US" or not re.fullmatch(r"\d{3}-\d{2}-\d{4}", value)
        ok = own and any(m.is_valid(value) for m in self.modules)
        form = "after a word" if ok else ("refused by python-stdnum" if self.modules else "without check digits")
        self.among([value, "national_id", self.locale[3:] + " " + form, not ok], self.random.choice(self.id_words), self.glue())

    def ip(self):
        if self.random.random() < 0.6:
            value = self.fake.ipv4()
        else:
            value = self.fake.ipv6()
        address = ipaddress.ip_address(value)
        nobody = address.is_unspecified or address.is_loopback or address.is_multicast or (address.version == 4 and (value.startswith("0.") or address >= ipaddress.ip_address("240.0.0.0")))
        self.among([value, "ip_address", "nobody's" if nobody else "v%d" % address.version, nobody])

    def mac(self):
        self.among([self.fake.mac_address(), "mac_address", "pairs", False])

    def negative(self):
        method, key = self.random.choice(NEGATIVES)
        try:
            value = getattr(self.fake, method)()
        except AttributeError:  # a locale does not have all of them
            method, key = "uuid4", "id"
            value = self.fake.uuid4()
        if method in ("paragraph", "text") or self.random.random() < 0.5:
            self.emit(key, str(value))
        else:
            self.among(str(value))

    def make(self, n):
        kinds = [self.email, self.phone, self.phone, self.card, self.iban, self.ssn, self.ip, self.mac] + [self.negative] * 8
        for i in range(n):
            kinds[i % len(kinds)]()


if __name__ == "__main__":
    for locale in sorted(LOCALES):
        Maker(locale, int(sys.argv[1])).make(int(sys.argv[2]))
