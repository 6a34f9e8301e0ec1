"""Words behind a number: units by their names, and words that make it another number or a guess."""

from collections.abc import Mapping

__all__ = ["LETTERS", "NOT_UNITS", "NUMBER_WORDS", "UNITS"]

# Each line: the unit as it is compared, then how else it is written. Words that also mean a share, a body or a move
# ("quarter", "foot" of a poem, "second") are units here because a number stands before them.
_UNITS = """
mm millimeter millimetre
cm centimeter centimetre
km kilometer kilometre
meter metre
inch inches
foot feet ft
yard yd
mile
mg milligram
gram
kg kilogram kilo
ounce oz
pound lb lbs
ton tonne
ml milliliter millilitre
liter litre
gallon
sec second
min minute
hour hr
day
week
month
year
$ dollar usd
€ euro eur
cent
% percent pct percentage
° degree deg
mph
kph kmh
unit
"""
UNITS: Mapping[str, str] = {
    spelling + plural: line.split()[0]
    for line in _UNITS.strip().splitlines()
    for spelling in line.split()
    for plural in ("", "s")
}

_COUNTED = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion lakh crore
dozen score gross couple pair half halves third quarter fourth fifth sixth seventh eighth ninth tenth twelfth twentieth
hundredth thousandth millionth billionth once twice thrice double triple none nil infinity infinite
"""
NUMBER_WORDS = frozenset(word + plural for word in _COUNTED.split() for plural in ("", "s"))

_CHANGED = """
plus minus over by divided multiplied squared cubed root factorial power mod modulo base pi log ln sin cos tan exp sqrt
to through until between from above below under less fewer greater larger smaller than least most
about approximately approx around roughly nearly almost
or and nor not no never isn wrong incorrect false either maybe perhaps possibly probably alternatively unless if but
"""
# With one of these behind it a number is not what it was.
NOT_UNITS = NUMBER_WORDS | frozenset(_CHANGED.split())
# The single letters that are units; any other stands for a number: k, M, e, i, x.
LETTERS = frozenset("m g s h l L A V W J C F Ω".split())
