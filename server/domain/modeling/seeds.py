"""The units that a new tenant starts with: classes, and the factor of each unit.

Ids are the usual symbols. Ids may not differ in case only; of such symbols the rarer one is left
out. Currencies come from a library; see `usecases.modeling.currencies`.
"""

from decimal import Decimal

from server.domain.ids import UnitClassId, UnitId
from server.domain.modeling.catalog import UnitClass, UnitOfMeasure
from server.domain.modeling.units import UnitClassKind

CURRENCIES = UnitClassId("currency")

# Class, its name for people, and its units: id, name, factor, scale. The first has the factor 1.
_USAGE: tuple[tuple[str, str, tuple[tuple[str, str, str, int], ...]], ...] = (
    (
        "count",
        "Things that are counted",
        (
            ("each", "Each", "1", 0),
            ("dozen", "Dozen", "12", 0),
            ("thousand", "Thousand", "1000", 3),
            ("million", "Million", "1000000", 6),
        ),
    ),
    (
        "data-volume",
        "Data",
        (
            ("B", "Byte", "1", 0),
            ("kB", "Kilobyte", "1000", 3),
            ("MB", "Megabyte", "1000000", 6),
            ("GB", "Gigabyte", "1000000000", 9),
            ("TB", "Terabyte", "1000000000000", 12),
            ("KiB", "Kibibyte", "1024", 9),
            ("MiB", "Mebibyte", "1048576", 12),
            ("GiB", "Gibibyte", "1073741824", 12),
            ("TiB", "Tebibyte", "1099511627776", 12),
        ),
    ),
    (
        "duration",
        "Time",
        (
            ("s", "Second", "1", 3),
            ("min", "Minute", "60", 6),
            ("h", "Hour", "3600", 6),
            ("d", "Day", "86400", 9),
        ),
    ),
    (
        "mass",
        "Mass",
        (
            ("g", "Gram", "1", 6),
            ("kg", "Kilogram", "1000", 9),
            ("t", "Tonne", "1000000", 12),
            ("lb", "Pound", "453.59237", 6),
        ),
    ),
    (
        "fluid-volume",
        "Volume",
        (
            ("L", "Litre", "1", 6),
            ("mL", "Millilitre", "0.001", 3),
            ("m3", "Cubic metre", "1000", 9),
        ),
    ),
    ("length", "Length", (("m", "Metre", "1", 6), ("km", "Kilometre", "1000", 9))),
    (
        "energy",
        "Energy",
        (
            ("Wh", "Watt-hour", "1", 6),
            ("kWh", "Kilowatt-hour", "1000", 9),
            ("MWh", "Megawatt-hour", "1000000", 12),
        ),
    ),
)

CLASSES: tuple[UnitClass, ...] = (
    *(
        UnitClass(
            id=UnitClassId(name),
            display_name=words,
            kind=UnitClassKind.USAGE,
            default_unit_id=UnitId(units[0][0]),
        )
        for name, words, units in _USAGE
    ),
    UnitClass(
        id=CURRENCIES,
        display_name="Money",
        kind=UnitClassKind.CURRENCY,
        default_unit_id=None,
    ),
)
UNITS: tuple[UnitOfMeasure, ...] = tuple(
    UnitOfMeasure(
        id=UnitId(symbol),
        display_name=words,
        unit_class_id=UnitClassId(name),
        factor=Decimal(factor),
        scale=scale,
        sequence=sequence,
    )
    for name, _, units in _USAGE
    for sequence, (symbol, words, factor, scale) in enumerate(units, start=1)
)
