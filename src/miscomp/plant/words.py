"""What stands on signs: common words in three languages, and made-up plates, prices, times and room numbers."""

from __future__ import annotations

import string
from collections.abc import Callable

import numpy as np

TextSource = Callable[[np.random.Generator], str]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ENGLISH = _words(
    "OPEN CLOSED EXIT ENTRANCE BAKERY PHARMACY POLICE HOTEL MARKET STATION PARKING STREET BRIDGE MUSEUM LIBRARY SCHOOL "
    "CHURCH GARDEN HARBOUR AIRPORT TICKETS COFFEE BOOKS FLOWERS BUTCHER DANGER CAUTION STOP SLOW PRIVATE PUBLIC NORTH "
    "SOUTH EAST WEST LEFT RIGHT UPPER LOWER WATER FIRE SALE BARGAIN FRESH ORGANIC TOBACCO LAUNDRY GALLERY THEATRE "
    "CINEMA SURGERY DENTIST GARAGE SERVICE DELIVERY"
)
GERMAN = _words(
    "Bahnhof Apotheke Bäckerei Rathaus Ausgang Eingang Kirche Schule Straße Markt Brücke Hafen Garten Polizei Achtung "
    "Vorsicht Verboten Geöffnet Geschlossen Zimmer Gasthof Metzger Blumen Bücher Fahrrad Parkplatz Nord Westen Süden "
    "Osten Krankenhaus Feuerwehr Museum Werkstatt Drogerie Weinhaus Kaffee Milch Käse Brot Sonntag Montag Freitag "
    "Schloss Mühle Linde Hauptplatz Altstadt Neustadt Rosenweg"
)
FRENCH = _words(
    "Boulangerie Pharmacie Gare Sortie Entrée Mairie École Marché Pont Jardin Police Danger Attention Ouvert Fermé "
    "Chambre Auberge Boucherie Fleurs Livres Vélo Rue Place Avenue Musée Hôtel Café Pain Fromage Lait Dimanche Lundi "
    "Vendredi Château Moulin Plage Port Église Coiffeur Tabac Épicerie Librairie Théâtre Gauche Droite Nord Sud Est "
    "Ouest Poste"
)
WORDS = ENGLISH + GERMAN + FRENCH
"""About 150 words of 3 to 12 letters."""

_PLATE_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
_PLATES = ("LL-LL 999", "LLL 999", "LL99 LLL", "9LLL999", "LL-999-LL", "999 LLL", "L 9999", "LLL-9999")
"""L a letter, 9 a digit; the usual forms of several countries."""


def word(rng: np.random.Generator) -> str:
    """A word as written, in capitals, or with one capital at its front."""
    text = WORDS[int(rng.integers(len(WORDS)))]
    case = rng.random()
    if case < 0.5 and "ß" not in text:
        return text.upper()
    return text.capitalize() if case < 0.9 else text.lower()


def street(rng: np.random.Generator) -> str:
    """A word, sometimes with a house number behind it."""
    return f"{word(rng)} {rng.integers(1, 199)}" if rng.random() < 0.3 else word(rng)


def plate(rng: np.random.Generator) -> str:
    """A number plate of no particular country."""
    form = _PLATES[int(rng.integers(len(_PLATES)))]
    letters = "".join(_PLATE_LETTERS[int(rng.integers(len(_PLATE_LETTERS)))] if c == "L" else c for c in form)
    return "".join(str(rng.integers(10)) if c == "9" else c for c in letters)


def price(rng: np.random.Generator) -> str:
    """Such as `3.49`, `12,90 €`, `$19.99`."""
    whole, cents = int(rng.integers(1, 200)), int(rng.choice([0, 5, 9, 49, 50, 79, 90, 95, 99]))
    form = int(rng.integers(4))
    return (f"{whole}.{cents:02}", f"{whole},{cents:02} €", f"${whole}.{cents:02}", f"£{whole}.{cents:02}")[form]


def time(rng: np.random.Generator) -> str:
    """Hours and minutes, `07:45`."""
    return f"{rng.integers(24):02}:{rng.integers(60):02}"


def room(rng: np.random.Generator) -> str:
    """A room, gate or house number, such as `B 204`, `17`, `E12`."""
    form, number = int(rng.integers(5)), int(rng.integers(1, 500))
    letter = string.ascii_uppercase[int(rng.integers(8))]
    return (f"{letter} {number}", str(number), f"{letter}{number}", f"{number}{letter.lower()}", f"{number:03}")[form]


def display(rng: np.random.Generator) -> str:
    """What stands on a seven-segment display: a time, a temperature, a count."""
    form = int(rng.integers(4))
    if form < 2:
        return time(rng)
    return f"{rng.integers(10, 400) / 10:.1f}" if form == 2 else str(rng.integers(10, 100000))


def label(rng: np.random.Generator) -> str:
    """A word or a serial number."""
    if rng.random() < 0.5:
        return word(rng)
    letters = "".join(_PLATE_LETTERS[int(rng.integers(len(_PLATE_LETTERS)))] for _ in range(2))
    return f"{letters}{rng.integers(100, 100000)}"
