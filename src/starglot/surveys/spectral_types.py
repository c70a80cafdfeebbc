"""Spectral types as written in catalogues, and the class that is used here: A, F, G, K or M.

The grammar is that of the MK types of SIMBAD, Michigan, Gray, LAMOST and SDSS, read loosely after the letter and its
digit: what stands there must be made of known marks (luminosity classes, peculiarities, elements and their
strengths), so that a word that merely begins like a type has no letter.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from starglot.labels import CLASSES

#: Why a text gives no letter: a known kind of object of another class; stars or types of two classes; no known type.
Problem = Literal["other_type", "two_types", "unknown_type"]

_LETTER = f"[{''.join(CLASSES)}]"
#: Letters that begin a type of any class, as far as a digit follows: they tell a second type from a mark.
_ANY = "[OBAFGKMLTY]"
_UNSURE = r"(?:[:?~*]|\.{2,3})"
_DIGIT = r"(?:10|\d)(?:\.\d{0,2})?"
#: 5, 5.5, 5-6, 5/6, 5:, 5+
_SUBTYPE = rf"{_DIGIT}{_UNSURE}*(?:[-/]{_DIGIT}{_UNSURE}*)?[+-]?"
_LUMINOSITY = r"(?:0-?Ia|Ia-?0|0|IV|I{1,3}|VI{0,2})(?:ab|a|b)?\+?"
_ELEMENT = (
    r"(?:CaH|MgH|TiO|CaII|Hdel|[HL]e|Li|Be|CN|CH|C2|Na|Mg|Al|Si|Ca|Sc|Ti|VO|Cr|Mn|Fe|Co|Ni|Cu|Zn|Ga|Sr|Zr|Tc|Ba|La|"
    r"Ce|Pr|Nd|Sm|Eu|Gd|Dy|Hg|Pb|Xe|H|C|N|O|P|S|Y)(?:I{1,3}V?)?(?:[+-]?\d(?:\.\d+)?)?"
)
_PECULIARITY = (
    r"(?:shell|SHELL|comp|var|weak|neb|lamBoo|lBoo|lB|delDel|del|pec|str|sh|st|wk|wl|gw|ha|em|ep|ev|er|eq|fp|nn|ss|sb|"
    r"[defghklmnpqrstvwxz])"
)
_MARK = rf"(?:{_UNSURE}|[-+/,.()\[\]]|{_LUMINOSITY}|{_PECULIARITY}|{_ELEMENT})"
_DWARF_OR_GIANT = r"(?:(?:e|u|x)?sd:?|d:?|g:?)?"
_WITH_DIGIT = re.compile(rf"{_DWARF_OR_GIANT}({_LETTER}){_UNSURE}?{_SUBTYPE}{_MARK}*+(?:_[A-Z])?")
_WITHOUT_DIGIT = re.compile(
    rf"{_DWARF_OR_GIANT}({_LETTER}){_UNSURE}?[+-]?(?:{_LUMINOSITY}(?:[-/,]{_LUMINOSITY})*)?{_UNSURE}?"
    rf"(?:p(?:[(]?{_ELEMENT}[,)]?)*|em?v?|m|n|s)?{_UNSURE}?"
)

#: Types by calcium K line, hydrogen lines and metal lines: kA5hF0mF2, and after a main type, A1mA5-F2, F0VkA9mA9.
_OF_LINES = rf"[BAFGKM]{_DIGIT}{_UNSURE}*(?:[-/][BAFGKM]?{_DIGIT}{_UNSURE}*)?"
_BY_LINES = re.compile(
    rf"(?:k(?P<calcium>{_OF_LINES}))?(?:h(?P<hydrogen>{_OF_LINES}))?(?:m(?P<metals>{_OF_LINES}))?{_MARK}*+"
)
_LINES_AFTER = re.compile(rf"(?<=[\dIVabnp:])(?:k{_OF_LINES}|h{_OF_LINES}|m{_OF_LINES})+")

#: Where a second type begins: G2/G3V, M1-M2Iab, K0III+A2V, F5_G2.
_SECOND = re.compile(
    rf"[-/](?={_ANY}(?:\d|[IV]|:|$))|[&|]|[+](?![IV])(?=[a-z]{{0,3}}[A-Z(])|[,](?={_ANY}\d)|_(?=(?:[a-z]*{_ANY}\d|WD|D[ABCOQZ]))"
)

_OTHER_WORDS = re.compile(
    r"(?:non|unknown|unclassified|unk|em|emission(?:line)?|doublestar|double|binary|carbon(?:star|lines|wd|white)?|"
    r"cataclysmic(?:variable)?|cv|wd(?:magnetic|cooler|hotter)?|calciumwd|whitedwarf|magnetic|agn|qso|quasar|galaxy|"
    r"starburst|starforming|broadline|nova|supernova|sn|pne?|planetarynebula|nebula|hii|sky|symbiotic|bhb|"
    r"(?:hot)?subdwarf|browndwarf|ob)+"
)
_OTHER_TYPES = re.compile(
    r"(?:d|g|[eux]?sd:?)?(?:"
    r"O?B(?:\W|\d|[enpsIV]|$).*|O(?:\W|\d|[efnpIV]|$).*"  # hot stars
    r"|[LTY](?:\d.*|$)"  # brown dwarfs
    r"|C(?:[-,]?[A-Z]{0,2}\d.*|-[HJNR]|EMP.*|H|$)|[RNS]\d.*|S|MS|SC|CS"  # carbon and zirconium stars
    r"|OB)"
    r"|D[ABCOQZX][ABCDEFHOPQVXZ]*(?:[\d.:?+/-][\w.:?+/-]*)?|WD.*"  # white dwarfs
    r"|W[NCOR](?:\d.*|$)"  # Wolf-Rayet stars
)
_REMARK = re.compile(rf"\s+\((?!{_ANY}\d(?!\d))[^()]*\)$")


def class_letter(spectral_type: str | None) -> str | None:
    """The letter A, F, G, K or M of a spectral type; None where it has none, or more than one.

    'G5' -> G, 'K0III:' -> K, 'G2/G3V' -> G, 'dM2' and 'esdM3' -> M, 'sd:F' -> F; 'kA5hF0mF2' -> F, the type of the
    hydrogen lines; 'Non', 'B6', 'DA', 'Carbon', 'K0III+A2V', 'G9/K0' -> None.
    """
    return read_type(spectral_type)[0] if spectral_type else None


@lru_cache(maxsize=65536)
def read_type(text: str) -> tuple[str | None, Problem | None]:
    """(letter, None), or (None, why there is none) for any text that is not blank.

    Stars of one class in one text ('K0III+K5V', 'M1-M2Ia') have its letter.  A metallic-line star has that of its
    hydrogen lines, or of the type that stands first ('A1mA5-F2' -> A); of calcium and metals alone only where both
    agree.  Lower case is read where a digit says that the letter is the class ('g5' -> G): 'd' and 'g' are marks.
    """
    text = _REMARK.sub("", text.strip().strip("'\"").strip())
    text = re.sub(r"\s+", "", text)
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    if _OTHER_WORDS.fullmatch(re.sub(r"[^a-z]", "", text.lower())) and not re.search(r"\d", text):
        return None, "other_type"
    if not re.match(r"[kh][A-Z]", text):
        text = _LINES_AFTER.sub("", text)
    parts = [part for part in _SECOND.split(text) if part.strip(".")]
    if not parts:
        return None, "unknown_type"
    found = [_one_type(part) for part in parts]
    letters = {letter for letter, _ in found if letter}
    problems = {problem for _, problem in found if problem}
    if "unknown_type" in problems:
        return None, "unknown_type"
    if len(letters) > 1 or (letters and problems):
        return None, "two_types"
    return (letters.pop(), None) if letters else (None, "two_types" if "two_types" in problems else "other_type")


def _one_type(text: str) -> tuple[str | None, Problem | None]:
    by_lines = _BY_LINES.fullmatch(text)
    if by_lines and any(by_lines.groupdict().values()):
        types = by_lines.groupdict()
        letters = {types["hydrogen"][0]} if types["hydrogen"] else {t[0] for t in types.values() if t}
        if len(letters) > 1:
            return None, "two_types"
        letter = letters.pop()
        return (letter, None) if letter in CLASSES else (None, "other_type")
    spellings = [text]
    if re.match(r"[afgkm]\d", text):
        spellings = [text[0].upper() + text[1:], text.upper()]
    for spelling in spellings:
        matched = _WITH_DIGIT.fullmatch(spelling) or _WITHOUT_DIGIT.fullmatch(spelling)
        if matched:
            return matched.group(1), None
    if _OTHER_TYPES.fullmatch(text):
        return None, "other_type"
    return None, "unknown_type"
