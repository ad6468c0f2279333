"""The invented world behind the generated events: wikis, users, pages and log actions with their shares.

A wiki and a rank go in, a name or a page comes out, always the same one: nothing here draws a number or
keeps state, so the world is as large as the ranks that are asked for and costs no memory.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import NamedTuple, TypeVar
from urllib.parse import quote

_T = TypeVar("_T")

# domain, share of the requests in percent, share of bots, UTC hour of its peak, script, wiki patrols edits.
# Shares follow captures of 2021 and 2023: about 42 % of the events lie outside the wikis that have a region.
_WIKIS = """
en.wikipedia.org 12.0 0.28 19 latin 0        id.wikipedia.org 7.0 0.75 7 latin 1
ar.wikipedia.org 6.0 0.70 18 arabic 1        vi.wikipedia.org 3.0 0.60 8 viet 1
fr.wikipedia.org 4.5 0.30 18 latin 1         ru.wikipedia.org 4.0 0.25 16 cyrillic 1
de.wikipedia.org 4.0 0.20 18 latin 0         es.wikipedia.org 3.5 0.30 22 latin 1
zh.wikipedia.org 2.5 0.30 8 han 1            ja.wikipedia.org 2.5 0.15 9 kana 0
it.wikipedia.org 2.0 0.30 18 latin 1         pt.wikipedia.org 2.0 0.30 22 latin 1
fa.wikipedia.org 1.4 0.50 15 arabic 1        he.wikipedia.org 1.2 0.25 17 hebrew 1
ko.wikipedia.org 0.8 0.30 9 hangul 1         pl.wikipedia.org 0.8 0.30 18 latin 1
nl.wikipedia.org 0.8 0.30 18 latin 1         th.wikipedia.org 0.3 0.20 9 thai 1
www.wikidata.org 29.0 0.55 16 item 1         commons.wikimedia.org 17.5 0.50 17 file 1
en.wiktionary.org 1.2 0.50 19 latin 1        ce.wikipedia.org 0.9 0.95 12 cyrillic 1
uk.wikipedia.org 0.9 0.30 16 cyrillic 1      he.wikisource.org 0.8 0.80 17 hebrew 1
sv.wikipedia.org 0.7 0.50 18 latin 1         ca.wikipedia.org 0.7 0.40 18 latin 1
meta.wikimedia.org 0.6 0.40 16 latin 0       ceb.wikipedia.org 0.5 0.95 4 latin 0
fr.wiktionary.org 0.5 0.50 18 latin 1        hu.wikipedia.org 0.4 0.30 18 latin 1
tr.wikipedia.org 0.4 0.30 17 latin 1         simple.wikipedia.org 0.4 0.20 19 latin 1
ru.wikinews.org 0.4 0.95 12 cyrillic 1       pl.wikisource.org 0.4 0.30 18 latin 1
ms.wiktionary.org 0.3 0.30 8 latin 0         uk.wikibooks.org 0.2 0.10 16 cyrillic 1
species.wikimedia.org 0.2 0.30 16 latin 1    incubator.wikimedia.org 0.2 0.05 12 latin 1
it.wikiquote.org 0.2 0.30 18 latin 1         de.wikivoyage.org 0.2 0.20 18 latin 1
sh.wikipedia.org 0.2 0.60 18 latin 1         en.wikiversity.org 0.15 0.20 19 latin 1
www.mediawiki.org 0.15 0.40 16 latin 0       zh-min-nan.wikipedia.org 0.15 0.70 8 latin 0
test.wikipedia.org 0.1 0.10 16 latin 0       test2.wikipedia.org 0.1 0.10 16 latin 0
"""

# Two words of a script make a title or a name; a number is added when the words are used up.
_WORDS: dict[str, tuple[str, str]] = {
    "latin": (
        "Silent Amber Northern Crooked Velvet Hollow Étoile Müder Golden Brisk Quiet Señal Ørken Lunar",
        "Harbour Otter Bridge Cathedral Orchard Lexicon Railway Château Kestrel Meadow Theorem Island Straße",
    ),
    "viet": ("Sông Núi Làng Chùa Đường Cầu Biển Rừng", "Hương Xanh Trắng Vàng Lạnh Cổ Mới Dài"),
    "cyrillic": (
        "Северный Тихий Старый Новый Белый Дальний Лунный",
        "Мост Город Сад Ветер Остров Словарь Ӏуьйре",
    ),
    "arabic": ("مدينة جسر بحر كتاب جبل نهر قصر", "النور القديم الشمال الذهب می‌روند الغربي الجديد"),
    "hebrew": ("גשר ספר הר נהר עיר גן מגדל", "הצפון הישן השקט הזהב החדש הלבן הרחוק"),
    "han": ("北方 古老 白色 金 遠山 新 寂靜", "大橋 圖書館 島嶼 鐵路 花園 辭典 河流"),
    "kana": ("さくら みどり 北の ふるい しろい 月の", "ブリッジ 図書館 の島 鉄道 ガーデン 辞典"),
    "hangul": ("북쪽 오래된 하얀 조용한 새로운 먼", "다리 도서관 섬 철도 정원 사전"),
    "thai": ("สะพาน เมือง แม่น้ำ ภูเขา สวน", "เหนือ เก่า ขาว ใหม่ ทอง"),
    "item": ("Silent Amber Northern Crooked Velvet", "Curator Cartographer Taxonomist Librarian Weaver"),
    "file": ("Silent Amber Northern Crooked Velvet", "Shutter Tripod Darkroom Archivist Gallery"),
}
_CATEGORY = {
    "cyrillic": "Категория:", "arabic": "تصنيف:", "hebrew": "קטגוריה:", "kana": "Category:",
    "hangul": "분류:", "thai": "หมวดหมู่:", "viet": "Thể loại:",
}  # fmt: skip

# What strangers write: every text here has broken a page, a template or a query somewhere.
HOSTILE_TITLES = (
    "Template:{{Infobox|{{PAGENAME}}}} {% raw %}",
    "</script><script>alert(1)</script>",
    'The "Quoted" Page\'s \\ back\\slash',
    "Category:Pages at 75% '; DROP TABLE silver.cleaned_events; --",
    "𐏃𐎧𐎠𐎶𐎴𐎡𐏁 🧙‍♀️ F♯ A♯ ∞",
    "رده:فعالان \u200fحقوق\u200e (ABC) ال‌جی‌بی‌تی",
    "File:" + "Temple Daily Telegram, Vol. 10, No. 364, Ed. 1 Sunday, November 18, 1917 - " * 2 + "DPLA.jpg",
)
HOSTILE_USERS = (
    "Horse {{ Eyes }}' Back", "<b>Bobby</b> \"Tables\"", "أبو هشام", "Wizard 🧙 of \\n", "\u00a0Padded\u3000",
    "Bell\u0007Ringer\u0085", "O'Near -- $1",
)  # fmt: skip
HOSTILE_COMMENTS = (
    "clean up, replaced: {{Taxobox → {{ var('x') }} {% for a in b %}",
    'Created page with "<!-- </script> --> <img src=x onerror=alert(1)>"',
    "{{Information\n|Description=two\n\tlines and a tab\r\n}}",
    "0000 0000 2265 5156\u200f \u202eright to left\u202c",
    "import w/ [[Wikidata:Wizard|🧙 Wizard]] 𝒳",
    "'; DELETE FROM t WHERE ''='' --\u2028next line\u2029next paragraph",
    '‘typographic’ "plain" `back` \\\\ ${env} %s %(x)s \x7f',
)


@dataclass(frozen=True)
class Wiki:
    """One wiki: its host, its share of the stream and what its events have in common."""

    domain: str
    name: str
    weight: float
    bots: float
    peak: int
    script: str
    patrols: bool
    index: int

    @property
    def category(self) -> str:
        return _CATEGORY.get(self.script, "Category:")


class Page(NamedTuple):
    """A page, with its title and address already written as JSON strings."""

    title: str
    namespace: int
    size: int
    title_json: str
    url_json: str


def _wiki_name(domain: str) -> str:
    """The database name of a host: ``en.wikipedia.org`` is ``enwiki``."""
    first, second, _ = domain.split(".")
    if second in ("wikimedia", "mediawiki", "wikidata"):
        return f"{second if first == 'www' else first}wiki"
    return first.replace("-", "_") + ("wiki" if second == "wikipedia" else second)


def _load_wikis() -> tuple[Wiki, ...]:
    cells = _WIKIS.split()
    rows = [cells[i : i + 6] for i in range(0, len(cells), 6)]
    return tuple(
        Wiki(d, _wiki_name(d), float(w), float(b), int(peak), script, patrol == "1", i)
        for i, (d, w, b, peak, script, patrol) in enumerate(rows)
    )


WIKIS = _load_wikis()
BY_DOMAIN = {wiki.domain: wiki for wiki in WIKIS}


def wikis_at(hour: int, boosted: str = "") -> tuple[Wiki, ...]:
    """2048 places, each wiki as often as its share in that UTC hour; ``boosted`` is a domain on campaign."""

    def share(wiki: Wiki) -> float:
        day = 1 + 0.4 * math.cos((hour - wiki.peak) * math.pi / 12)
        return wiki.weight * day * (2.2 if wiki.domain == boosted else 1.0)

    return spread(WIKIS, [share(wiki) for wiki in WIKIS], 2048)


def spread(things: Sequence[_T], weights: Sequence[float], places: int) -> tuple[_T, ...]:
    """A table to draw from with one random number; everything gets at least one place."""
    total = sum(weights)
    table: list[_T] = []
    for thing, weight in zip(things, weights, strict=True):
        table += [thing] * max(1, round(weight / total * places))
    return tuple(table)


def _pick(script: str, rank: int, joint: str) -> str:
    first, second = (text.split() for text in _WORDS[script])
    rest, a = divmod(rank, len(first))
    number, b = divmod(rest, len(second))
    words = f"{first[a]}{joint}{second[b]}"
    return f"{words}{joint}{number + 1}" if number else words


@functools.lru_cache(maxsize=20_000)
def human(script: str, rank: int) -> str:
    """The JSON string of the registered user with that rank."""
    return encode_basestring(_pick(script, rank * 11 + 3, " " if rank % 3 else ""))


@functools.lru_cache(maxsize=1_000)
def bot(rank: int) -> str:
    """The JSON string of the bot with that rank."""
    return encode_basestring(f"{_pick('latin', rank * 3, '')}{('Bot', 'bot', ' Bot')[rank % 3]}")


def page_of(domain: str, title: str, namespace: int, size: int) -> Page:
    """A page with its address, as the server writes both."""
    url = f"https://{domain}/wiki/" + quote(title.replace(" ", "_"), safe="/:,;@!$*()'")
    return Page(title, namespace, size, encode_basestring(title), encode_basestring(url))


@functools.lru_cache(maxsize=20_000)
def page(wiki: Wiki, rank: int) -> Page:
    """The page of a wiki with that rank; every eighth is a talk or user page, some have hostile titles."""
    size = 300 + rank * 7919 % 60_000
    if rank % 211 == 5:
        title = HOSTILE_TITLES[(rank // 211 + wiki.index) % len(HOSTILE_TITLES)]
        return page_of(wiki.domain, title, 0, size)
    if wiki.script == "item":
        return page_of(wiki.domain, f"Q{rank * 48_271 % 138_000_000 + 1}", 0, size)
    if wiki.script == "file":
        title = f"File:{_pick('latin', rank, ' ')} - geograph.org.uk - {rank * 7 + 1001}.jpg"
        return page_of(wiki.domain, title, 6, size)
    prefix, namespace = {3: ("Talk:", 1), 6: ("User talk:", 3)}.get(rank % 16, ("", 0))
    return page_of(wiki.domain, prefix + _pick(wiki.script, rank, " "), namespace, size)


@functools.lru_cache(maxsize=20_000)
def category(wiki: Wiki, rank: int) -> Page:
    """The category of a wiki with that rank."""
    return page_of(wiki.domain, wiki.category + _pick(wiki.script, rank * 3 + 1, " "), 14, 0)


# Log type, action, parameters (``%d`` is a number, ``%s`` the second clock as digits), has an id, weight.
# Weights follow the 102 log events of a capture of 2021: what patrols and filters log has no ``id``.
LOG_ACTIONS: tuple[tuple[str, str, str, bool, int], ...] = (
    ("abusefilter", "hit", '{"action":"edit","filter":"17","actions":"tag","log":%d}', False, 26),
    ("upload", "upload", '{"img_sha1":"2wi7o302x9zl0ldxstnksh9zvc6fepu","img_timestamp":"%s"}', True, 19),
    ("patrol", "patrol", '{"curid":"%d","previd":"32069206","auto":0}', False, 10),
    ("newusers", "create", '{"userid":%d}', True, 8),
    ("delete", "delete", "[]", True, 8),
    ("block", "block", '{"duration":"1 day","flags":"anononly,nocreate","sitewide":true}', True, 4),
    ("move", "move", '{"target":"Brisk \\"Meadow\\" \\u00e9\\/é","noredir":"1"}', True, 4),
    ("thanks", "thank", "[]", False, 3),
    ("review", "approve", '[%d,256290732,"%s"]', False, 2),
    ("import", "interwiki", '{"count":1.50,"big":12345678901234567890,"exp":1E5,"z":null,"a":[{}]}', True, 1),
    ("tag", "update", '"4::target"', True, 2),
    ("rights", "rights", '[["sysop"],{"expiry":null},%d,true]', True, 1),
)  # fmt: skip

COMMENTS = (
    "", "/* History */", "/* References */ copyedit", "clean up using [[Project:AWB|AWB]]", "Reverted edits",
    "/* Filmografie */ Grammatik", "добавлена ссылка", "تهذيب", "removed [[Category:Stubs]]; added source",
    "/* 1차전 */", "Rescuing 2 sources and tagging 0 as dead. #IABot (v2.0.9)", "fixed typo", "",
)  # fmt: skip
ITEM_COMMENTS = (
    "/* wbsetclaim-create:2||1 */ [[Property:P31]]: [[Q5]]",
    "/* wbeditentity-update:0| */ Adding statements: cites work (P2860)",
    "/* wbsetlabel-add:1|fi */ Peltidea pellucida",
    "/* wbsetreference-add:2| */ [[Property:P2416]]: [[Q537769]]",
)

# Quantiles of the change in bytes of an edit: (share of edits, bytes), linear between two.
_DELTAS = (
    (0.0, -14_000), (0.0015, -5_100), (0.01, -650), (0.05, -38), (0.1, -10), (0.25, 6), (0.5, 68),
    (0.75, 330), (0.9, 1_300), (0.97, 2_450), (0.993, 9_000), (0.997, 52_000), (1.0, 300_000),
)  # fmt: skip


def deltas(places: int) -> tuple[int, ...]:
    """Changes in bytes to draw from with one random number."""
    table = []
    for i in range(places):
        share = (i + 0.5) / places
        (x0, y0), (x1, y1) = next((a, b) for a, b in itertools.pairwise(_DELTAS) if a[0] <= share < b[0])
        table.append(round(y0 + (y1 - y0) * (share - x0) / (x1 - x0)))
    return tuple(table)
