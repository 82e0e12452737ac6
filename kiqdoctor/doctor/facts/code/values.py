"""What a job is handed that its payload may have no word for."""

from enum import StrEnum

import msgspec


class Value(StrEnum):
    """What a value is, in words that a finding may use."""

    RECORD = "a database record"
    RECORDS = "a query"
    OBJECT = "an object"
    CLASS = "a class"
    DATE = "a date or time"
    READ_DATE = "a date or time, that its job reads from text"
    DURATION = "a duration"
    DECIMAL = "a Decimal"
    UUID = "a UUID"
    PATH = "a path"
    SET = "a set"
    BYTES = "bytes"
    SYMBOL = "a symbol"
    KEYWORDS = "keywords, whose keys are symbols"
    SYMBOL_KEYS = "a hash with symbols for keys"
    OTHER_KEYS = "a mapping whose keys are no strings"
    FUNCTION = "a function"
    LAMBDA = "a lambda"
    ITERATOR = "an iterator"
    REQUEST = "the request"
    FILE = "an open file"


class Encoding(StrEnum):
    """How a queue writes what jobs are handed. ``UNKNOWN``: the application has told it a way of its own."""

    JSON = "JSON"
    KOMBU = "kombu's JSON"
    PICKLE = "pickle"
    ACTIVE_JOB = "Active Job"
    UNKNOWN = ""


class Given(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One such value, by itself or within a list or mapping; ``text``: what it is called, where that has a name."""

    what: Value
    text: str = ""
