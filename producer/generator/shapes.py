"""The JSON text of one event: what happened, by whom and when go in, the line of the stream comes out.

Fields and their order are those of real captures; the lines are written as text because building and
dumping a dictionary for each of them takes three times as long.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Sequence
from datetime import date
from json.encoder import encode_basestring
from random import Random
from typing import NamedTuple

from producer.generator.world import Page, Wiki

_2026 = date(2026, 1, 1).toordinal()
# rcid and revision on 2026-01-01, and how many a day: Commons and Wikidata pass 2^31 in 2026.
_COUNTERS = {
    "commons.wikimedia.org": (3_150_000_000, 1_000_000, 1_140_000_000, 300_000),
    "www.wikidata.org": (2_500_000_000, 600_000, 2_440_000_000, 500_000),
    "en.wikipedia.org": (1_980_000_000, 400_000, 1_330_000_000, 150_000),
}
_OTHERS = (300_000_000, 100_000, 120_000_000, 40_000)


class Moment(NamedTuple):
    """The two clocks of an event: ``meta.dt`` as text, ``timestamp`` in epoch seconds."""

    dt: str
    seconds: int


class Actor(NamedTuple):
    """Who did it: the user name as a JSON string, and whether it is flagged as a bot."""

    user: str
    bot: str


class Request(NamedTuple):
    """One web request: the page it changes and everything its events share."""

    wiki: Wiki
    page: Page
    actor: Actor
    moment: Moment
    key: str


@functools.lru_cache(maxsize=4_096)
def _comment(text: str) -> tuple[str, str]:
    return encode_basestring(text), encode_basestring(html.escape(text, quote=False))


class Scribe:
    """Writes the events of one day and numbers them; the numbers follow from the day alone."""

    def __init__(self, rng: Random, day: date, wikis: Sequence[Wiki]) -> None:
        self._bits = rng.getrandbits
        self._random = rng.random
        since = day.toordinal() - _2026
        self._today = day.year >= 2025  # title_url and notify_url came with the newer software
        self._offset = 2_000_000_000 + since * 3_000_000
        self._rcid: dict[str, int] = {}
        self._revision: dict[str, int] = {}
        for wiki in wikis:
            rcid, rcids, revision, revisions = _COUNTERS.get(wiki.domain, _OTHERS)
            self._rcid[wiki.domain] = max(1_000, rcid + since * rcids)
            self._revision[wiki.domain] = max(1_000, revision + since * revisions)
        self._tail = {
            wiki.domain: f'"server_url":"https://{wiki.domain}","server_name":"{wiki.domain}",'
            f'"server_script_path":"/w","wiki":"{wiki.name}","parsedcomment":'
            for wiki in wikis
        }

    def key(self) -> str:
        """A fresh key in the form of a UUID."""
        x = f"{self._bits(128):032x}"
        return f"{x[:8]}-{x[8:12]}-4{x[13:16]}-a{x[17:20]}-{x[20:]}"

    def edit(self, request: Request, delta: int, comment: str) -> str:
        """An edit that changes the length of its page by ``delta`` bytes."""
        page = request.page
        old = page.size if page.size + delta >= 0 else -delta
        return self._change(request, "edit", f'"old":{old},"new":{old + delta}', True, comment)

    def new(self, request: Request, size: int, comment: str) -> str:
        """A page creation: ``length`` and ``revision`` have no old half."""
        return self._change(request, "new", f'"new":{size}', False, comment)

    def _change(self, request: Request, kind: str, length: str, old: bool, comment: str) -> str:
        domain = request.wiki.domain
        rcid = self._next(self._rcid, domain)
        revision = self._next(self._revision, domain)
        before = revision - 1 - int(self._random() * 5_000) if old else 0
        shown, parsed = _comment(comment)
        roll = self._random()
        minor = "true" if old and roll < 0.28 else "false"
        patrolled = ""
        if request.wiki.patrols:
            patrolled = '"patrolled":true,' if roll < 0.93 else '"patrolled":false,'
        notify = ""
        if self._today:
            url = f"https://{domain}/w/index.php?diff={revision}&oldid={before}&rcid={rcid}"
            notify = f'"notify_url":"{url}",'
        return (
            f'{self._head(request, request.page)}"id":{rcid},"type":"{kind}",'
            f"{self._middle(request, request.page, shown)}{notify}"
            f'"minor":{minor},{patrolled}"length":{{{length}}},'
            f'"revision":{{{f"{chr(34)}old{chr(34)}:{before}," if old else ""}"new":{revision}}},'
            f"{self._tail[domain]}{parsed}}}"
        )

    def categorize(self, request: Request, category: Page, added: bool) -> str:
        """The page of the request enters or leaves a category."""
        domain = request.wiki.domain
        verb = "added to" if added else "removed from"
        title = request.page.title
        rcid = self._next(self._rcid, domain)
        notify = ""
        if self._today:
            notify = f'"notify_url":"https://{domain}/w/index.php?diff={self._revision[domain]}&oldid=0",'
        return (
            f'{self._head(request, category)}"id":{rcid},"type":"categorize",'
            f"{self._middle(request, category, encode_basestring(f'[[:{title}]] {verb} category'))}{notify}"
            f"{self._tail[domain]}{encode_basestring(f'{html.escape(title, quote=False)} {verb} category')}}}"
        )

    def log(self, request: Request, action: tuple[str, str, str, bool, int], comment: str) -> str:
        """A log entry; ``action`` is a row of ``world.LOG_ACTIONS``."""
        kind, verb, template, has_id, _ = action
        domain = request.wiki.domain
        log_id = 30_000_000 + self._next(self._rcid, domain) % 100_000_000
        params = template.replace("%d", str(log_id // 7)).replace("%s", str(request.moment.seconds))
        rcid = f'"id":{self._rcid[domain]},' if has_id else ""
        shown, parsed = _comment(comment)
        return (
            f'{self._head(request, request.page)}{rcid}"type":"log",'
            f"{self._middle(request, request.page, shown)}"
            f'"log_id":{log_id},"log_type":"{kind}","log_action":"{verb}","log_params":{params},'
            f'"log_action_comment":{shown},{self._tail[domain]}{parsed}}}'
        )

    def _next(self, counters: dict[str, int], domain: str) -> int:
        counters[domain] += 1
        return counters[domain]

    def _head(self, request: Request, page: Page) -> str:
        self._offset += 1
        return (
            f'{{"$schema":"/mediawiki/recentchange/1.0.0","meta":{{"uri":{page.url_json},'
            f'"request_id":"{request.key}","id":"{self.key()}","domain":"{request.wiki.domain}",'
            f'"stream":"mediawiki.recentchange","dt":"{request.moment.dt}",'
            f'"topic":"codfw.mediawiki.recentchange","partition":0,"offset":{self._offset}}},'
        )

    def _middle(self, request: Request, page: Page, comment: str) -> str:
        url = f'"title_url":{page.url_json},' if self._today else ""
        return (
            f'"namespace":{page.namespace},"title":{page.title_json},{url}"comment":{comment},'
            f'"timestamp":{request.moment.seconds},"user":{request.actor.user},"bot":{request.actor.bot},'
        )
