"""The served description is true: what it promises is answered, what it forbids is refused, and nonsense changes nothing.

Everything is made from the description itself, so that a new operation is held to it from its first day.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from itertools import count
from typing import Any
from uuid import UUID, uuid4
from zlib import crc32

import psycopg2
import pytest
import schemathesis
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from redis import Redis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.transport import Response
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.generation.overrides import with_config_headers
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.specs.openapi.schemas import OpenApiSchema
from werkzeug.test import TestResponse

from conftest import Home, found_home
from dosette.actions import alarms, devices, doses, households, stock
from dosette.actions.devices import ServerKeys
from dosette.actions.doses import Taking
from dosette.actions.stock import Line
from dosette.contracts.names import frame_key
from dosette.domain.doses import When
from dosette.storage.connection import Database
from dosette.testing import NOON, a_press
from dosette_api.app import create_app
from dosette_api.describe import PATH
from dosette_api.household import Household
from dosette_local.servers.postgres import Postgres

LEAST_CASES = 5000
FUZZED = 85
"""Cases of an operation beside its examples and its boundaries; fewer where it has nothing to vary."""

FOR_AN_EMPTY_HOUSE = {"import_household"}
"""Refused in a house that is lived in; test_exports.py plays them."""

SEED = 2026
SLOWEST_S = 10
MOST_TOLD = 5
ALARMS = 5
KEY = "Idempotency-Key"

# Values that the API accepts and chance never finds, by name.
USUAL = {
    "zone": ["Europe/Berlin", "Pacific/Apia"],
    "address": ["https://example.org/1", "https://example.org/2", "https://example.org/3"],
    "at": [NOON.isoformat(), (NOON - timedelta(days=1)).isoformat()],
}

# msgspec's words for a value of the wrong shape; any other refusal is a rule that JSON Schema can't say, as is that a
# whole number is written without a point.
_SHAPE = re.compile(r"[^:]*: (Expected (?!a \w+ between|`int( \| null)?`, got `float`)|Invalid |Object |Input )")

Case = schemathesis.Case[Any]
Shape = dict[str, Any]
Ids = dict[str, list[str]]
Place = tuple[str | int, ...]
"""Where in a body a value stands: ("steps", 0, "time")."""


@dataclass(frozen=True)
class Operation:
    path: str
    method: str
    told: dict[str, Any] = field(compare=False)

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def body(self) -> Shape | None:
        shape: Shape | None = (
            self.told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        )
        return shape


@dataclass
class House:
    """A household that is lived in, and a look at every row of its server."""

    api: Any
    rows: Connection
    keys: Iterator[int]

    def send(self, operation: Operation, ids: Ids, body: bytes | None = None) -> TestResponse:
        path = re.sub(r"{(\w+)}", lambda found: _one(ids, found[1]), operation.path)
        headers = {"Authorization": f"Bearer {self.api.token}", KEY: f"nonsense-{next(self.keys)}"}
        kind = None if body is None else "application/json"
        told: TestResponse = self.api.client.open(
            path, method=operation.method, headers=headers, data=body, content_type=kind
        )
        return told

    def ids(self, home: Home) -> Ids:
        """By noun: a `medicine` is one of the table `medicines`. Of doses, only those of now: they can be taken. Of reminders, the
        last ones: alarms, and of doses to come."""
        found = {table.removesuffix("s"): self._ids(table, home) for table in self._tables}
        people = dict.fromkeys(("second", "third"), found["member"])
        doses = [str(dose["id"]) for dose in home.doses(until=NOON.replace(hour=13))]
        return found | people | {"dose": doses, "reminder": found["reminder"][-2 * ALARMS :]}

    def fingerprint(self) -> dict[str, str]:
        """Changes with any row of any table."""
        rows = "SELECT coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') FROM dosette.{} AS t"
        return {table: self._select(rows, sql.Identifier(table))[0][0] for table in self._tables}

    @cached_property
    def _tables(self) -> list[str]:
        tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'dosette' ORDER BY table_name"
        return [name for (name,) in self._select(tables)]

    def _ids(self, table: str, home: Home) -> list[str]:
        columns = (
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'dosette' AND table_name = {}"
        )
        if not {("id",), ("household_id",)} <= set(self._select(columns, sql.Literal(table))):
            return []
        ids = "SELECT id::text FROM dosette.{} WHERE household_id = {} ORDER BY id"
        return [name for (name,) in self._select(ids, sql.Identifier(table), sql.Literal(home.id))]

    def _select(self, query: str, *values: sql.Composable) -> list[tuple[Any, ...]]:
        with self.rows.cursor() as cursor:
            cursor.execute(sql.SQL(query).format(*values))
            return cursor.fetchall()


def _served() -> dict[str, Any]:
    nowhere = Household(Database("postgresql://nowhere", "dosette-test"), lambda: NOON, None)
    told: dict[str, Any] = create_app(nowhere).test_client().get(PATH).get_json()
    return told


DESCRIPTION = _served()
OPERATIONS = [
    Operation(path, method, told) for path, methods in DESCRIPTION["paths"].items() for method, told in methods.items()
]


@pytest.fixture
def house(api: Any, database_of: Callable[[str], Database], postgres: Postgres, redis: Redis) -> Iterator[House]:
    _live_in(api.home, database_of("scheduler"), redis)
    rows = psycopg2.connect(postgres.url.rsplit("/", 1)[0] + "/" + api.home.server.name)
    rows.autocommit = True
    yield House(api, rows, count())
    rows.close()


@pytest.fixture
def neighbour(house: House, database_of: Callable[[str], Database], redis: Redis) -> Home:
    home = found_home(house.api.home.server, database_of("api"), "Next door")
    _live_in(home, database_of("scheduler"), redis)
    return home


def _live_in(home: Home, scheduler: Database, redis: Redis) -> None:
    """Doses due and doses taken, packages, a panel that shows something, and presses that conflict."""
    panel = devices.pair(home.database, home.console, "Kitchen", ServerKeys("secret"), "redis:6379", "", NOON).device_id
    redis.set(frame_key(panel), b"\x89PNG")
    for dose_id in [home.dose() for _ in range(10)][::3]:
        doses.take(home.database, home.writer(), Taking(NOON, dose_id), home.request(), NOON)
        doses.take_in(scheduler, a_press(panel, dose_id, at=NOON), When(NOON), NOON)
    for number in range(ALARMS):
        alarms.raise_one(scheduler, home.id, "panel_silent", str(uuid4()), {"about": f"Panel {number}"}, NOON)
    for channel, address in (("file", "bruno.jsonl"), ("webhook", "https://example.org/hook")):
        households.add_contact(home.database, home.console, home.bruno, channel, address, NOON)
    for medicine_id in {str(dose["medicine"]["id"]) for dose in home.doses()}:  # type: ignore[index]
        stock.refill(home.database, home.console, medicine_id, Line(Decimal(5), batch="B1"), home.request(), NOON)


def _noun(parameter: str) -> str:
    return parameter.removesuffix("_id")


def _one(ids: Ids, parameter: str) -> str:
    assert ids.get(_noun(parameter)), f"{parameter}: put a {_noun(parameter)} into the house"
    return ids[_noun(parameter)][0]


# What it promises


@pytest.fixture(scope="module")
def cases() -> Iterator[Counter[Operation]]:
    """How many ran. When every operation had its turn, they must be so many that the check can't rot."""
    ran: Counter[Operation] = Counter()
    yield ran
    if set(ran) == set(OPERATIONS):
        assert ran.total() >= LEAST_CASES, "too few cases: raise FUZZED"


@pytest.mark.timeout(600)  # hundreds of cases each; a whole household moves in with every import
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_answer_is_as_described(operation: Operation, house: House, cases: Counter[Operation]) -> None:
    known, answers = house.ids(house.api.home) | USUAL, Counter[int]()
    failures: dict[str, str] = {}

    def try_out(case: Case) -> None:
        cases[operation] += 1
        _come_home(case, known)
        try:
            told = case.call_and_validate(headers=case.operation.schema.config.headers)
        except FailureGroup as group:
            failures.setdefault(_titles(group), str(group))
        else:
            answers[told.status_code] += case.method.lower() == operation.method

    _made_from(_schema(house), operation, try_out)()

    if failures:
        pytest.fail("\n\n".join(list(failures.values())[:MOST_TOLD]), pytrace=False)
    assert any(answers[status] for status in range(200, 300)) or operation.told["operationId"] in FOR_AN_EMPTY_HOUSE, (
        f"only refusals: put into the house what it needs; {answers}"
    )


def _schema(house: House) -> OpenApiSchema:
    # Not zipped: over WSGI, Schemathesis unzips nothing.
    headers = {"Authorization": f"Bearer {house.api.token}", "Accept-Encoding": "identity"}
    generation = {"deterministic": True, "database": "none", "max-examples": FUZZED, "no-shrink": True}
    checks = {"max_response_time": SLOWEST_S}  # all others are on
    config = SchemathesisConfig.from_dict(
        {"seed": SEED, "headers": headers, "generation": generation, "checks": checks}
    )
    schema = schemathesis.openapi.from_wsgi(PATH, house.api.client.application, config=config)
    schema.hook("filter_failure")(_counts)
    return schema


def _counts(_context: object, failure: Failure, _case: object, answer: Response) -> bool:
    """Whether it is a failure to us too.

    What fits the schema may be refused all the same, with 422 and in words of our own: by a rule across fields, for an
    unknown time zone, a year that nobody lives in, or a key that was used before.
    """
    by_a_rule = isinstance(failure, RejectedPositiveData) and answer.status_code == 422
    return not by_a_rule or bool(_SHAPE.match(answer.json()["detail"]))


def _made_from(schema: OpenApiSchema, operation: Operation, try_out: Callable[[Case], None]) -> Callable[[], None]:
    """Runs `try_out` on examples, boundaries and random cases. The pytest way of Schemathesis fails on pytest 9.2."""
    made, project = schema[operation.path][operation.method], schema.config
    config = HypothesisTestConfig(
        project,
        [HypothesisTestMode.EXAMPLES, HypothesisTestMode.COVERAGE, HypothesisTestMode.FUZZING],
        settings=project.get_hypothesis_settings(operation=made, phase="fuzzing"),
        seed=project.seed,
        override=with_config_headers(project, operation=made),
    )
    test: Callable[[], None] = create_test(operation=made, test_func=try_out, config=config)
    return test


def _titles(group: FailureGroup) -> str:
    return ", ".join(sorted(failure.title for failure in group.exceptions))


def _come_home(case: Case, known: Ids) -> None:
    """Half of the cases name what is there, that more is tried than refusals; the same case always comes out the same."""
    turn = crc32(repr((case.path_parameters, case.query, case.body)).encode(errors="backslashreplace"))
    if turn % 2:
        for part in ("path_parameters", "query", "body"):
            there = _at_home(getattr(case, part), known, turn // 2)
            if there != getattr(case, part):  # for what is set counts as changed, even to what it was
                setattr(case, part, there)
    if re.fullmatch(r"[\x21-\x7e]{1,200}", str(case.headers.get(KEY, ""))):
        case.headers[KEY] = f"{turn:08x}{case.headers[KEY]}"[:200]  # a key of its own; the same for the same request


def _at_home(value: Any, known: Ids, turn: int, name: str = "") -> Any:
    """`value`, in which every id is one of ours, and what has usual values has one."""
    if isinstance(value, dict):
        return {each: _at_home(inner, known, turn, str(each)) for each, inner in value.items()}
    if isinstance(value, list):
        return [_at_home(inner, known, turn, name) for inner in value]
    ours = known.get(_noun(name))
    fits = _is_id(value) or (name in USUAL and isinstance(value, str))
    return ours[turn % len(ours)] if ours and fits else value


def _is_id(value: object) -> bool:
    try:
        return str(UUID(str(value))) == value
    except ValueError:
        return False


# What nobody promised


def _no_json_numbers(shape: Shape) -> Iterator[bytes]:
    for place, _ in _places(shape):
        yield from (_text(shape, place, number) for number in ("NaN", "Infinity", "-Infinity", "1e999"))


def _ten_megabytes(shape: Shape) -> Iterator[bytes]:
    yield json.dumps(_plain(shape)).encode() + b" " * 10_000_000


def _deep_nesting(shape: Shape) -> Iterator[bytes]:
    for depth in (100_000, 20_000):  # the latter is under the limit of size
        yield b"[" * depth
        yield b'{"a":' * (depth // 3)
        yield from (_text(shape, place, "[" * depth + "]" * depth) for place, _ in _places(shape))


def _names_given_twice(shape: Shape) -> Iterator[bytes]:
    for place, inner in _places(shape):
        for name, value in inner.get("properties", {}).items():
            fields = {other: value for other, value in _plain(inner).items() if other != name}
            text = json.dumps(fields | {name: _plain(value)})
            yield _text(shape, place, f"{text[:-1]}, {json.dumps(name)}: {json.dumps(_plain(value))}}}")


def _nul_bytes(shape: Shape) -> Iterator[bytes]:
    for place in _strings(shape):
        yield from (_text(shape, place, text) for text in (r'"a\u0000b"', '"a\0b"', r'"\u0000"'))


def _lone_surrogates(shape: Shape) -> Iterator[bytes]:
    for place in _strings(shape):
        yield from (_text(shape, place, text) for text in (r'"\ud800"', r'"a\udc00b"', r'"\ude00\ud83d"'))
        yield _text(shape, place, '"MARK"').replace(b"MARK", "\ud800".encode(errors="surrogatepass"))


def _numbers_for_strings(shape: Shape) -> Iterator[bytes]:
    for place in _strings(shape):
        yield from (_text(shape, place, number) for number in ("0", "1", "-1.5", "20260304"))


def _strings_for_numbers(shape: Shape) -> Iterator[bytes]:
    for place, inner in _places(shape):
        instead = {"integer": ('"10"', "10.5", "true"), "boolean": ('"true"', "1", "0")}
        yield from (_text(shape, place, text) for text in instead.get(inner.get("type", ""), ()))


def _naive_times(shape: Shape) -> Iterator[bytes]:
    for place, inner in _places(shape):
        if inner.get("format") == "date-time":
            yield from (_text(shape, place, f'"{at}"') for at in ("2026-03-04T12:00:00", "2026-03-04 12:00", "12:00"))


def _unknown_fields(shape: Shape) -> Iterator[bytes]:
    for place, inner in _places(shape):
        if "properties" in inner:
            yield _text(shape, place, json.dumps(_plain(inner) | {"colour": "red"}))


NONSENSE = [
    _no_json_numbers,
    _ten_megabytes,
    _deep_nesting,
    _names_given_twice,
    _nul_bytes,
    _lone_surrogates,
    _numbers_for_strings,
    _strings_for_numbers,
    _naive_times,
    _unknown_fields,
]


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_is_refused_and_changes_nothing(nonsense: Callable[[Shape], Iterator[bytes]], house: House) -> None:
    ids, before, let_in = house.ids(house.api.home), house.fingerprint(), []

    for operation, body in _each_with(nonsense):
        told = house.send(operation, ids, body)
        if not _refused(told, 400, 413, 422):
            let_in.append(_told(operation, body, told))

    assert not let_in, "\n".join(let_in[:MOST_TOLD])
    assert house.fingerprint() == before


def test_what_is_next_door_is_neither_told_nor_changed(house: House, neighbour: Home) -> None:
    ours, theirs = house.ids(house.api.home), house.ids(neighbour)
    before, let_in = house.fingerprint(), []

    for operation, ids, body in _trespasses(ours, theirs):
        told = house.send(operation, ids, body)
        if not (_refused(told, 404, 422) or _refused_one_by_one(told)):
            let_in.append(_told(operation, body, told))

    assert not let_in, "\n".join(let_in[:MOST_TOLD])
    assert house.fingerprint() | {"replies": ""} == before | {"replies": ""}


def _each_with(nonsense: Callable[[Shape], Iterator[bytes]]) -> Iterator[tuple[Operation, bytes]]:
    for operation in OPERATIONS:
        if operation.body is not None:
            yield from ((operation, body) for body in nonsense(operation.body))


def _trespasses(ours: Ids, theirs: Ids) -> Iterator[tuple[Operation, Ids, bytes | None]]:
    """Each operation with their ids in its path, then with one of them in its body."""
    for operation in OPERATIONS:
        if "{" in operation.path:
            yield from ((operation, theirs, body) for body in _likely(operation.body))
        for place, inner in _places(operation.body or {}):
            if inner.get("format") == "uuid" and theirs.get(_noun(str(place[-1]))):
                there = json.dumps(_one(theirs, str(place[-1])))
                yield operation, ours, _text(operation.body or {}, place, there)


def _likely(shape: Shape | None) -> list[bytes | None]:
    """Bodies of which one is accepted: some rules want more than the schema requires, and examples show what."""
    if shape is None:
        return [None]
    shown = [
        _text(shape, place, json.dumps(inner["examples"][0])) for place, inner in _places(shape) if "examples" in inner
    ]
    return [json.dumps(_plain(shape)).encode(), *shown]


def _refused_one_by_one(told: TestResponse) -> bool:
    """A batch is answered item by item, and the answer kept for its key; a dose that is not there is told as null."""
    results = json.loads(told.text).get("results", []) if told.status_code == 200 else []
    return bool(results) and all(each["dose"] is None for each in results)


def _told(operation: Operation, body: bytes | None, told: TestResponse) -> str:
    return f"{operation}\n  {(body or b'')[:300]!r}\n  {told.status_code} {told.text[:300]}"


def _refused(told: TestResponse, *statuses: int) -> bool:
    return told.status_code in statuses and told.mimetype == "application/problem+json"


def _places(shape: Shape, place: Place = ()) -> Iterator[tuple[Place, Shape]]:
    """Every value that a body may hold, and its shape."""
    shape = _whole(shape)
    yield place, shape
    for name, inner in shape.get("properties", {}).items():
        yield from _places(inner, (*place, name))
    if "items" in shape:
        yield from _places(shape["items"], (*place, 0))


def _strings(shape: Shape) -> list[Place]:
    return [place for place, inner in _places(shape) if inner.get("type") == "string" or "enum" in inner]


def _whole(shape: Shape) -> Shape:
    """What a reference names, or what may stand where null may stand too."""
    shape = next(each for each in shape.get("anyOf", [shape]) if each.get("type") != "null")
    return DESCRIPTION["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]] if "$ref" in shape else shape


def _text(shape: Shape, place: Place, text: str) -> bytes:
    """A body in which `text` stands at `place`."""
    return json.dumps(_holding(shape, place, "HERE")).replace('"HERE"', text).encode()


def _holding(shape: Shape, place: Place, value: object) -> Any:
    if not place:
        return value
    shape, first, rest = _whole(shape), place[0], place[1:]
    if isinstance(first, int):
        return [_holding(shape["items"], rest, value)]
    return _plain(shape) | {first: _holding(shape["properties"][first], rest, value)}


def _plain(shape: Shape) -> Any:
    """A value of that shape, with what is required and no more."""
    shape = _whole(shape)
    if "properties" in shape:
        return {name: _plain(shape["properties"][name]) for name in shape["required"]}
    if "items" in shape:
        return [_plain(shape["items"])]
    if named := shape.get("examples") or shape.get("enum"):
        return named[0]
    return _PLAIN[shape.get("format") or shape["type"]]


_PLAIN: dict[str, Any] = {
    "object": {},
    "string": "x",
    "integer": 10,
    "boolean": False,
    "date": "2026-03-05",
    "date-time": NOON.isoformat(),
    "uuid": "01980000-0000-7000-8000-000000000001",
}
