"""Finds where each column of a model comes from, from the model's compiled SQL, with sqlglot.

The words are OpenLineage's: an input is DIRECT where its values become part of the column's, and INDIRECT where they
only decide about them. `subtype` says how: IDENTITY, TRANSFORMATION, AGGREGATION; CONDITIONAL, WINDOW, SORT, and for
the rows of a whole table FILTER, JOIN and GROUP_BY.
See https://openlineage.io/docs/spec/facets/dataset-facets/column_lineage_facet
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer import Scope, build_scope, find_all_in_scope
from sqlglot.optimizer.qualify import qualify

DIALECT = "postgres"
DIRECT, INDIRECT = "DIRECT", "INDIRECT"
Way = tuple[str, str]  # type and subtype
# From the weakest to the strongest: a column that is summed after it was cast is AGGREGATION.
STRENGTH = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")


@dataclass(frozen=True, order=True)
class Input:
    """A column of another table. `column` is empty for the table's rows, as `count(*)` counts them."""

    table: str
    column: str
    type: str = DIRECT
    subtype: str = "IDENTITY"

    def then(self, type: str, subtype: str) -> Input:
        """This input, as it reaches what is made of it in this way."""
        if self.type == INDIRECT:
            return self
        if type == DIRECT:
            subtype = max(self.subtype, subtype, key=STRENGTH.index)
        return Input(self.table, self.column, type, subtype)


@dataclass(frozen=True)
class Step:
    """One expression on the way to a column. `of`: the common table expression that it stands in; empty: the last one.

    `how`: `renamed`, `cast` or `computed`.
    """

    of: str
    name: str
    how: str
    sql: str


@dataclass
class Column:
    """Where a column comes from: its inputs, and the steps to it, from the last to the first."""

    inputs: set[Input] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)

    def add(self, column: Column, type: str, subtype: str) -> None:
        """Adds what the other column comes from, which goes into this one in this way."""
        self.inputs |= {each.then(type, subtype) for each in column.inputs}
        self.steps += [step for step in column.steps if step not in self.steps]


@dataclass
class RowRule:
    """What decides which rows a table has: a condition, a join or a grouping, with the columns that it reads."""

    subtype: str
    sql: str
    inputs: set[Input]


@dataclass
class Model:
    """The lineage of a model's columns and rows. `unread`: why sqlglot could not read its SQL; empty where it could."""

    columns: dict[str, Column] = field(default_factory=dict)
    rows: list[RowRule] = field(default_factory=list)
    unread: str = ""


def lineage_of(sql: str, tables: Mapping[str, Mapping[str, str]]) -> Model:
    """The lineage of a query. `tables`: the columns of each table that it may read, with their types, by table.

    The tables of the query are known by their names alone, whatever their schema. A column that none of them has makes
    the whole model `unread`, rather than one that seems to come from nowhere.
    """
    try:
        query = parse_one(sql, dialect=DIALECT)
        for table in query.find_all(exp.Table):
            table.set("db", None)
            table.set("catalog", None)
        schema: dict[str, object] = {name: dict(columns) for name, columns in tables.items() if columns}
        query = qualify(query, dialect=DIALECT, schema=schema, validate_qualify_columns=False, quote_identifiers=False)
        if (scope := build_scope(query)) is None:
            return Model(unread="it is no query")
        return _Query(tables, scope).model()
    except (SqlglotError, RecursionError) as error:
        return Model(unread=str(error).splitlines()[0])


class _Query:
    """Finds the columns of each scope of a query, each once."""

    def __init__(self, tables: Mapping[str, Mapping[str, str]], scope: Scope) -> None:
        self._tables, self._scope = tables, scope
        self._columns: dict[tuple[int, str], Column] = {}
        # A recursive query reads its own first part by a scope without sources.
        self._scopes = {id(each.expression): each for each in scope.traverse()}

    def model(self) -> Model:
        columns = {name: self._column(self._scope, name, "") for name in _select_names(self._scope)}
        return Model(columns, list(self._rules(self._scope)))

    def _column(self, scope: Scope, name: str, of: str) -> Column:
        """The column of this name in the scope's result."""
        scope = self._scopes.get(id(scope.expression), scope)
        key = (id(scope), name)
        if key not in self._columns:
            self._columns[key] = self._made(scope, name, of)
        return self._columns[key]

    def _made(self, scope: Scope, name: str, of: str) -> Column:
        made = Column()
        if parts := scope.set_operation_scopes:
            place = _select_names(scope).index(name)
            for part in parts:
                is_kept = part is parts[0] or isinstance(scope.expression, exp.Union)
                way = (DIRECT, "IDENTITY") if is_kept else (INDIRECT, "FILTER")
                made.add(self._column(part, _select_names(part)[place], of), *way)
            return made
        selects = {each.alias_or_name: each for each in getattr(scope.expression, "selects", ())}
        if name not in selects:
            return made
        value = selects[name].unalias()
        if how := _how(value, name):
            made.steps.append(Step(of, name, how, value.sql(dialect=DIALECT, comments=False)))
        for way, column in self._columns_in(scope, value):
            made.add(column, *way)
        if any(find_all_in_scope(value, exp.Star)):  # count(*); qualify has put columns in the place of other stars
            tables = {table for source in _selected(scope) for table in self._tables_behind(source)}
            made.inputs |= {Input(table, "", DIRECT, "AGGREGATION") for table in tables}
        return made

    def _columns_in(self, scope: Scope, value: exp.Expr) -> Iterator[tuple[Way, Column]]:
        """Each column that the expression reads, with the way in which it does."""
        for column in find_all_in_scope(value, exp.Column, exp.TableColumn):
            # A TableColumn is the whole row of a source, such as in to_jsonb(trips).
            alias = column.table if isinstance(column, exp.Column) else column.name
            if (source := _source(scope, alias)) is None:
                raise SqlglotError(f"{column.sql(dialect=DIALECT)} is of no table whose columns are known")
            names = [column.name] if isinstance(column, exp.Column) else self._names(source)
            for name in names:
                yield _way(column, value), self._of_source(scope, source, name, alias)
        for query in find_all_in_scope(value, *exp.UNWRAPPED_QUERIES):
            for inner in (each for each in scope.subquery_scopes if each.expression is query):
                for name in _select_names(inner):
                    yield _way(query, value), self._column(inner, name, "")
                for rule in self._rules(inner):
                    yield (INDIRECT, rule.subtype), Column(rule.inputs)
        for window in find_all_in_scope(value, exp.Window):
            for named in scope.expression.args.get("windows") or ():
                if window.alias and window.alias == named.name:
                    yield from (((INDIRECT, "WINDOW"), each) for _, each in self._columns_in(scope, named))

    def _of_source(self, scope: Scope, source: Scope | exp.Expr, name: str, alias: str) -> Column:
        if isinstance(source, exp.Table) and source.name:
            if name not in self._tables.get(source.name, ()):
                raise SqlglotError(f"{source.name} declares no column {name}")
            return Column({Input(source.name, name)})
        if isinstance(source, Scope) and not isinstance(source.expression, exp.UDTF):
            return self._column(source, name, _name(source) or alias)
        inner = source.sources.get("") if isinstance(source, Scope) else None  # the query of a lateral join
        if isinstance(inner, Scope) and name in _select_names(inner):
            return self._column(inner, name, alias)
        made = Column()  # a function that makes a table, or values: all that goes into it
        for at in (each for each in (source, inner) if each is not None):
            within = at if isinstance(at, Scope) else scope
            for (type, _), column in self._columns_in(within, at.expression if isinstance(at, Scope) else at):
                made.add(column, type, "TRANSFORMATION")
        return made

    def _names(self, source: Scope | exp.Expr) -> list[str]:
        return _select_names(source) if isinstance(source, Scope) else list(self._tables.get(source.name, ()))

    def _tables_behind(self, source: Scope | exp.Expr) -> set[str]:
        if isinstance(source, Scope):
            return {table for each in _selected(source) for table in self._tables_behind(each)}
        return {source.name} & self._tables.keys()

    def _rules(self, scope: Scope, seen: set[int] | None = None) -> Iterator[RowRule]:
        """What decides about rows, in the scope and all that it reads, from the last to the first."""
        seen = set() if seen is None else seen
        if id(scope) in seen:
            return
        seen.add(id(scope))
        for subtype, part in _row_parts(scope.expression):
            found = Column()
            for _, column in self._columns_in(scope, part):
                found.add(column, INDIRECT, subtype)
            yield RowRule(subtype, part.sql(dialect=DIALECT, comments=False), found.inputs)
        for source in _selected(scope):
            if isinstance(source, Scope):
                yield from self._rules(source, seen)


def _select_names(scope: Scope) -> list[str]:
    return list(getattr(scope.expression, "named_selects", ()))


def _name(scope: Scope) -> str:
    """The name of the common table expression or subquery that the scope is."""
    parent = scope.expression.parent
    return parent.alias if isinstance(parent, (exp.CTE, exp.Subquery)) else ""


def _source(scope: Scope | None, alias: str) -> Scope | exp.Expr | None:
    """What has this alias in the scope, or in a query around it."""
    while scope is not None:
        if (found := scope.sources.get(alias)) is not None:
            return found
        scope = scope.parent
    return None


def _selected(scope: Scope) -> list[Scope | exp.Expr]:
    """All that the scope takes rows from."""
    if parts := scope.set_operation_scopes:
        return list(parts)
    if isinstance(scope.expression, exp.UDTF):
        return [scope.sources[""]] if "" in scope.sources else []
    return [source for _, source in scope.selected_sources.values()]


def _how(value: exp.Expr, name: str) -> str:
    if isinstance(value, exp.Column):
        return "" if value.name == name else "renamed"
    return "cast" if isinstance(value, exp.Cast) and isinstance(value.this, exp.Column) else "computed"


def _way(inner: exp.Expr, value: exp.Expr) -> Way:
    """How the expression uses what is in it, by what stands between both."""
    subtype = "IDENTITY" if inner is value else "TRANSFORMATION"
    child = inner
    while child is not value and (parent := child.parent) is not None:
        key = child.arg_key
        if isinstance(parent, exp.Filter) and key == "expression":
            return INDIRECT, "CONDITIONAL"
        if isinstance(parent, (exp.If, exp.Case)) and key == "this":
            return INDIRECT, "CONDITIONAL"
        if isinstance(parent, exp.Window) and key in ("partition_by", "order"):
            return INDIRECT, "WINDOW"
        is_sorted_by = isinstance(parent, exp.Order) and key == "expressions"
        if is_sorted_by and not isinstance(parent.parent, (exp.WithinGroup, exp.Window)):
            return INDIRECT, "SORT"
        if isinstance(parent, (exp.AggFunc, exp.WithinGroup)):
            subtype = "AGGREGATION"
        child = parent
    return DIRECT, subtype


def _row_parts(query: exp.Expr) -> Iterator[tuple[str, exp.Expr]]:
    for key, subtype in (("where", "FILTER"), ("having", "FILTER"), ("qualify", "FILTER")):
        if part := query.args.get(key):
            yield subtype, part.this
    for join in query.args.get("joins") or ():
        if on := join.args.get("on"):
            yield "JOIN", on
    if group := query.args.get("group"):
        for each in group.expressions:
            yield "GROUP_BY", each
    if isinstance(distinct := query.args.get("distinct"), exp.Distinct) and (on := distinct.args.get("on")):
        yield "GROUP_BY", on
