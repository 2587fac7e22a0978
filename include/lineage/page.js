"use strict";
const LAYERS = ["file", "raw", "staging", "intermediate", "marts", "readers"];
const ORIGINS = {file: "It stands in the file.", run: "The run gives it.", constant: "It is a constant."};
const KINDS = {IDENTITY: "as it is", TRANSFORMATION: "computed", AGGREGATION: "aggregated", CONDITIONAL: "in a condition", WINDOW: "in a window",
  SORT: "in an order", FILTER: "rows are kept by", JOIN: "rows are joined by", GROUP_BY: "rows are grouped by"};
// Of two hits that fit as well: published tables first, then their readers, then back along the flow.
const FOUND_FIRST = ["marts", "readers", "intermediate", "staging", "raw", "file"];
const MOST_FOUND = 40, GAP = 30, TOP = 24, APART = 5;  // in pixels: between ranks, above the boxes, between two edges of the same columns
const HERE = location.pathname + location.search;  // a link that begins with # would count as one that skips a part of the page
const asked = new URLSearchParams(location.search);
// An address of the window around the frame, such as plugin/lineage#green/fct_trips, is for the page in it.
if (!location.hash && window.parent !== window) history.replaceState(null, "", HERE + parent.location.hash);
let lineage = {}, indexes = {}, chosen = {}, opened = new Set(), entries = [], latests = {};

const $ = id => document.getElementById(id);
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter(each => each != null && each !== false));
  return made;
}
function drawn(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
const address = (...parts) => `${HERE}#${parts.filter(Boolean).map(encodeURIComponent).join("/")}`;
const breakable = name => name.split(/(?<=[_.])/).flatMap(part => [element("wbr"), part]).slice(1);
const key = (table, column) => `${table}\n${column}`;
const tablesOf = () => lineage[chosen.dataset].tables;

// The frame that Airflow shows this page in may not navigate the window around it by a link.
function link(path, words) {
  return element("a", {href: `..${path}`, onclick: event => {
    if (window.parent === window || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    parent.history.pushState(null, "", new URL(event.currentTarget.href).pathname);
    parent.dispatchEvent(new PopStateEvent("popstate"));
  }}, words);
}

// Of a dataset: which columns are made of a column, and which tables a table reads and is read by.
function indexOf(tables) {
  const readers = new Map(), parents = new Map(), children = new Map();
  for (const name in tables) { parents.set(name, new Set()); children.set(name, new Set()); }
  for (const [name, table] of Object.entries(tables)) {
    const reads = inputs => inputs.forEach(input => { if (tables[input.table] && input.table !== name) { parents.get(name).add(input.table); children.get(input.table).add(name); } });
    // Its rows stand as a column without a name, as they do among inputs.
    for (const [column, inputs] of [...Object.entries(table.columns).map(([column, {inputs}]) => [column, inputs]), ...table.rows.map(rule => ["", rule.inputs])]) {
      reads(inputs);
      for (const input of inputs) {
        const from = key(input.table, input.column);
        if (!readers.has(from)) readers.set(from, []);
        const found = readers.get(from), each = {table: name, column, type: input.type, subtype: input.subtype};
        if (!found.some(other => other.table === name && other.column === column && other.type === input.type)) found.push(each);
      }
    }
  }
  return {readers, parents, children};
}

const counts = edge => edge.type === "DIRECT" || $("deciding").checked;
const inputsOf = (table, column) => (tablesOf()[table]?.columns[column]?.inputs || []).filter(input => tablesOf()[input.table] && counts(input));
// What decides about a table's rows decides about those of each table that reads it.
const readersOf = (table, column) => [...(indexes[chosen.dataset].readers.get(key(table, column)) || []),
  ...(column ? [] : [...indexes[chosen.dataset].children.get(table)].map(name => ({table: name, column: "", type: "INDIRECT", subtype: "ROWS"})))].filter(counts);

// The columns that can be reached, nearest first, each with the nearer one `by` which it was, and the edges on the way.
function walk(next) {
  const start = {table: chosen.table, column: chosen.column}, seen = new Set([key(start.table, start.column)]), found = [start], edges = [];
  for (const at of found) {
    for (const each of next(at.table, at.column)) {
      edges.push({at, ...each});
      if (!seen.has(key(each.table, each.column))) { seen.add(key(each.table, each.column)); found.push({table: each.table, column: each.column, by: at}); }
    }
  }
  return {found, edges};
}
function reach(start, next) {
  const found = new Set([start]);
  for (const at of found) for (const each of next.get(at)) found.add(each);
  return found;
}

// What the graph shows: tables with the columns that are always shown in them, and edges between columns, or between tables.
function shown() {
  const tables = tablesOf(), {parents, children} = indexes[chosen.dataset];
  if (chosen.column) {
    const up = walk(inputsOf), down = walk(readersOf), columns = new Map();
    for (const each of [...up.found, ...down.found]) columns.set(each.table, (columns.get(each.table) || new Set()).add(each.column));
    const edges = [...up.edges.map(each => ({from: each, to: each.at, type: each.type})), ...down.edges.map(each => ({from: each.at, to: each, type: each.type}))];
    return {columns, edges};
  }
  const names = chosen.table ? new Set([...reach(chosen.table, parents), ...reach(chosen.table, children)]) : new Set(Object.keys(tables));
  const columns = new Map([...names].map(name => [name, new Set(name === chosen.table ? Object.keys(tables[name].columns) : [])])), edges = [];
  for (const name of names) for (const parent of parents.get(name)) if (names.has(parent)) edges.push({from: {table: parent, column: ""}, to: {table: name, column: ""}, type: "table"});
  return {columns, edges};
}

// The place of each table from left to right: after those that it reads, and after the layer before. Tables come after those that they read.
function ranksOf(names) {
  const tables = tablesOf(), {parents} = indexes[chosen.dataset], at = new Map(), depths = LAYERS.map(() => 0);
  for (const name of names) {
    const read = [...parents.get(name)].filter(parent => at.has(parent)).map(parent => at.get(parent));
    const layer = Math.max(LAYERS.indexOf(tables[name].layer), ...read.map(each => each.layer));
    const depth = Math.max(0, ...read.filter(each => each.layer === layer).map(each => each.depth + 1));
    at.set(name, {layer, depth});
    depths[layer] = Math.max(depths[layer], depth + 1);
  }
  const before = layer => depths.slice(0, layer).reduce((sum, each) => sum + each, 0);
  return new Map(names.map(name => [name, before(at.get(name).layer) + at.get(name).depth]));
}

function box(name, always) {
  const table = tablesOf()[name], all = Object.keys(table.columns), is_open = $("all").checked || opened.has(name);
  const columns = all.filter(column => is_open || always.has(column)), hidden = all.length - all.filter(column => always.has(column)).length;
  const toggle = () => { opened.has(name) ? opened.delete(name) : opened.add(name); draw(); document.querySelector(`[data-more="${CSS.escape(name)}"]`)?.focus(); };
  return element("div", {class: `box${name === chosen.table ? " chosen" : ""}${table.unread ? " unread" : ""}`},
    element("a", {class: "name", href: address(chosen.dataset, name), "aria-current": name === chosen.table && !chosen.column ? "true" : null}, ...breakable(name)),
    columns.length > 0 && element("ul", {}, ...columns.map(column => element("li", {}, element("a", {href: address(chosen.dataset, name, column),
      "aria-current": name === chosen.table && column === chosen.column ? "true" : null}, ...breakable(column))))),
    hidden > 0 && !$("all").checked && element("button", {type: "button", "data-more": name, "aria-expanded": String(is_open), "aria-label": `${is_open ? "Hide" : "Show"} ${counted(hidden, "column")} of ${name}`, onclick: toggle},
      is_open ? "show fewer" : hidden < all.length ? `+ ${counted(hidden, "column")}` : counted(hidden, "column")));
}

function draw() {
  const focused = document.activeElement?.closest?.("#graph a")?.getAttribute("href");
  const {columns, edges} = shown(), names = Object.keys(tablesOf()).filter(name => columns.has(name)), ranks = ranksOf(names);
  const boxes = new Map(names.map(name => [name, box(name, columns.get(name))]));
  const canvas = element("div", {class: "canvas"}), svg = drawn("svg", {"aria-hidden": "true"}), bands = LAYERS.map(layer => [layer, element("div", {class: "band"}, element("span", {}, layer))]);
  canvas.append(...bands.map(([, band]) => band), svg, ...boxes.values());
  $("graph").replaceChildren(canvas);

  // All is measured before anything is moved, so that the browser computes the page once.
  const sizes = new Map(), heights = new Map();
  for (const [name, made] of boxes) {
    sizes.set(name, {width: made.offsetWidth, height: made.offsetHeight});
    for (const each of made.querySelectorAll("a")) heights.set(each.getAttribute("href"), each.offsetTop + each.offsetHeight / 2);
  }
  const graph = arrange(sizes, edges, ranks), {width, height} = graph.graph();
  canvas.style.width = svg.style.width = `${width}px`;
  canvas.style.height = svg.style.height = `${height + TOP}px`;
  for (const [name, made] of boxes) {
    const {x, y} = graph.node(name), size = sizes.get(name);
    made.style.left = `${x - size.width / 2}px`; made.style.top = `${y - size.height / 2 + TOP}px`;
  }
  for (const [layer, band] of bands) {
    const of = names.filter(name => tablesOf()[name].layer === layer).map(name => [graph.node(name).x, sizes.get(name).width / 2 + GAP / 3]);
    if (!of.length) { band.remove(); continue; }
    const left = Math.min(...of.map(([x, half]) => x - half)), right = Math.max(...of.map(([x, half]) => x + half));
    band.style.left = `${left}px`; band.style.width = `${right - left}px`;
  }
  const end = ({table, column}, side) => {
    const {x, y} = graph.node(table), size = sizes.get(table);
    return {x: x + side * size.width / 2, y: y - size.height / 2 + TOP + (heights.get(address(chosen.dataset, table, column)) ?? heights.get(address(chosen.dataset, table)))};
  };
  const pair = ({from, to}) => [from.table, from.column, to.table, to.column].join("\n"), direct = new Set(edges.filter(edge => edge.type === "DIRECT").map(pair));
  svg.append(...edges.map(edge => {
    const {from, to, type} = edge, start = end(from, 1), away = type === "INDIRECT" && direct.has(pair(edge)) ? APART : 0;
    start.y += away;
    if (from.table === to.table) return drawn("path", {class: type, d: loop(start, end(to, 1))});
    const stop = end(to, -1);
    stop.y += away;
    return drawn("path", {class: type, d: curve(start, lanes(graph.edge(from.table, to.table), sizes.get(from.table).width), stop)});
  }));
  if (focused) document.querySelector(`#graph a[href="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
}

function arrange(sizes, edges, ranks) {
  const graph = new dagre.graphlib.Graph();
  // Ranks are given, as layers decide them too. dagre counts two for each, with room for a label on an edge between them.
  graph.setGraph({rankdir: "LR", nodesep: 14, edgesep: 10, ranksep: GAP, marginx: GAP / 2, marginy: 10, ranker: "none"});
  for (const [name, size] of sizes) graph.setNode(name, {...size, rank: 2 * ranks.get(name)});
  for (const {from, to} of edges) if (from.table !== to.table) graph.setEdge(from.table, to.table, {});
  return dagre.layout(graph);
}

// Where an edge passes between the boxes of a rank: straight, as long as they are wide. The other points are between ranks.
function lanes({points}, width) {
  return points.slice(1, -1).filter((_, place) => place % 2).flatMap(({x, y}) => [{x: x - width / 2, y: y + TOP}, {x: x + width / 2, y: y + TOP}]);
}
function curve(from, between, to) {
  let path = `M${from.x} ${from.y}`, at = from;
  for (const next of [...between, to]) {
    const middle = (at.x + next.x) / 2;
    path += `C${middle} ${at.y} ${middle} ${next.y} ${next.x} ${next.y}`;
    at = next;
  }
  return path;
}

const loop = (from, to) => `M${from.x} ${from.y}C${from.x + GAP / 2} ${from.y} ${from.x + GAP / 2} ${to.y} ${to.x} ${to.y + (from.y === to.y ? APART : 0)}`;

// Markdown as far as descriptions have it: paragraphs, tables, and text between backticks.
function prose(text) {
  const inline = words => words.split(/`([^`]+)`/).map((part, place) => place % 2 ? element("code", {}, part) : part);
  return text.trim().split(/\n\s*\n/).filter(Boolean).map(block => {
    if (!block.startsWith("|")) return element("p", {}, ...inline(block));
    const [head, , ...rows] = block.split("\n").map(line => line.replace(/^\||\|\s*$/g, "").split("|").map(cell => cell.trim()));
    return element("div", {class: "wide", tabindex: 0, role: "group", "aria-label": "A table of the description"}, element("table", {},
      element("thead", {}, element("tr", {}, ...head.map(cell => element("th", {scope: "col"}, ...inline(cell))))),
      element("tbody", {}, ...rows.map(row => element("tr", {}, ...row.map(cell => element("td", {}, ...inline(cell))))))));
  });
}

const place = (table, column) => element("a", {href: address(chosen.dataset, table, column)}, ...breakable(column ? `${table}.${column}` : table));
function readable(sql) {
  if (sql.length < 90) return sql;
  let between = 0;  // whose AND is still to come
  return sql.replace(/ (?=(WHEN|ELSE)\b)/g, "\n  ").replace(/ (?=END\b)/g, "\n").replace(/\bBETWEEN\b| (AND|OR)\b/g, (found, word) => {
    if (!word) between += 1;
    else if (word === "AND" && between) between -= 1;
    else return `\n    ${word}`;
    return found;
  });
}
const step = ({of, name, sql}, own) => element("code", {class: "expression"}, `${of ? `${of}.` : ""}${of || name !== own ? `${name} = ` : ""}${readable(sql)}`);
const kind = ({type, subtype}) => element("span", {class: `kind ${type}`}, ` ${KINDS[subtype] || subtype.toLowerCase()}`);
const heading = (words, ...parts) => parts.flat().some(Boolean) ? [element("h3", {}, words), ...parts.flat()] : [];

function links(name, table) {
  const {dag_id} = lineage[chosen.dataset], shown = element("p", {class: "links"}, table.id && element("a", {href: `../ledger/docs#!/${table.id.split(".")[0]}/${table.id}`}, "In dbt's docs"));
  // Only when its address is known: a quick click would lead elsewhere.
  latest(dag_id).then(({run, tasks}) => {
    const id = ["file", "raw"].includes(table.layer) ? "load_month" : tasks.find(each => each.task_display_name === name)?.task_id;
    if (id) shown.append(link(`/dags/${dag_id}${run ? `/runs/${encodeURIComponent(run)}` : ""}/tasks/${id}`, "Its task in the latest run"));
  });
  return shown;
}
// Airflow's answers: the run that was created last, and the tasks. A model's task shows the model's name; its id depends on its tests.
function latest(dag_id) {
  const ask = path => fetch(`../api/v2/dags/${dag_id}/${path}`).then(answer => answer.json());
  latests[dag_id] ??= Promise.all([ask("dagRuns?limit=1&order_by=-id"), ask("tasks")])
    .then(([{dag_runs}, {tasks}]) => ({run: dag_runs?.[0]?.dag_run_id, tasks: tasks || []})).catch(() => ({tasks: []}));
  return latests[dag_id];
}

function tests(found) {
  return heading("Tests", found.length > 0 && element("ul", {class: "rules"}, ...found.map(test => element("li", {}, element("code", {}, test.name), element("br"), ...(test.description ? [test.description] : [])))));
}
function rows(name, table) {
  return heading(`What decides about the rows of ${name}`, table.rows.length > 0 && element("ul", {class: "rules"}, ...table.rows.map(rule => element("li", {},
    ...ruled(rule), byTable(rule.inputs)))));
}
const ruled = (rule, between = "") => [element("span", {class: "kind"}, KINDS[rule.subtype] || rule.subtype), between, element("code", {class: "expression"}, readable(rule.sql))];
// Of a table on the way: what decides about its rows, and the tests of the table as a whole. Of the chosen table, what decides stands beside.
function ofRows(name) {
  const table = tablesOf()[name], whole = table.tests.filter(test => !test.columns.length);
  return [name !== chosen.table && table.rows.length > 0 && element("ul", {class: "of-rows", "aria-label": `What decides about the rows of ${name}`}, ...table.rows.map(rule => element("li", {}, ...ruled(rule, " ")))),
    whole.length > 0 && element("p", {class: "quiet"}, "Tests of the whole table: ", ...whole.flatMap((test, count) => [count > 0 && ", ", element("code", {title: test.description}, test.name)].filter(Boolean)))];
}
// Links to columns, a line for each table.
function byTable(columns) {
  const tables = new Map(), own = ({table, column}) => column ? element("a", {href: address(chosen.dataset, table, column)}, ...breakable(column)) : "its rows";
  for (const each of columns) tables.set(each.table, [...(tables.get(each.table) || []), each]);
  return element("ul", {class: "by-table"}, ...[...tables].map(([table, found]) => element("li", {}, place(table), ": ", ...found.flatMap((each, count) => [count > 0 && ", ", own(each)].filter(Boolean)))));
}
const unread = table => table.unread && element("p", {class: "fault"}, `sqlglot could not read its SQL, so nobody knows where its columns come from: ${table.unread}`);

function aboutColumn() {
  const table = tablesOf()[chosen.table], column = table.columns[chosen.column], up = walk(inputsOf).found, down = walk(readersOf).found.slice(1);
  const made = ({table: name, column: own}) => {
    const of = tablesOf()[name].columns[own];
    if (!of) return "The number of its rows counts.";
    if (tablesOf()[name].unread) return "sqlglot could not read the SQL of this table.";
    const steps = of.steps.map(each => step(each, own)), origins = of.origins.map(each => ORIGINS[each]).join(" ");
    return element("div", {}, ...steps, element("span", {class: "quiet"}, origins || (steps.length ? "" : "Copied.")));
  };
  const told = new Set();
  const once = name => told.has(name) ? [] : (told.add(name), ofRows(name));
  const values = down.filter(each => each.column), rows_of = down.filter(each => !each.column);
  const from = ({table: name, column: own}) => element("ul", {"aria-label": "from"}, ...inputsOf(name, own).map(input => element("li", {}, element("span", {"aria-hidden": "true"}, "← "), place(input.table, input.column), kind(input))));
  return [
    [element("h2", {}, ...breakable(`${chosen.table}.${chosen.column}`)), element("p", {class: "quiet"}, [column.type, table.layer].filter(Boolean).join(" · ")), ...prose(column.description), unread(table), links(chosen.table, table),
      ...tests(column.tests.map(name => table.tests.find(test => test.name === name) || {name})), ...rows(chosen.table, table)],
    [...heading("Where it comes from", element("ol", {class: "steps"}, ...up.map(each => element("li", {}, element("div", {}, place(each.table, each.column), from(each)), element("div", {}, made(each), ...once(each.table)))))),
    ...heading("What is made of it", values.length > 0 && byTable(values)),
    ...heading("Which rows it decides about", rows_of.length > 0 && element("ul", {class: "by-table"}, ...rows_of.map(each => element("li", {}, place(each.table), !each.by.column && element("span", {class: "quiet"}, ` by the rows of ${each.by.table}`))))),
    ...(down.length ? [] : [element("h3", {}, "No table, view or report that is shown here is made of it")])],
  ];
}

function aboutTable() {
  const table = tablesOf()[chosen.table];
  return [
    [element("h2", {}, ...breakable(chosen.table)), element("p", {class: "quiet"}, table.layer), ...prose(table.description), unread(table), links(chosen.table, table), ...rows(chosen.table, table), ...tests(table.tests)],
    heading(counted(Object.keys(table.columns).length, "column"), element("table", {class: "columns"}, element("thead", {}, element("tr", {}, ...["column", "type", "what it is"].map(words => element("th", {scope: "col"}, words)))),
      element("tbody", {}, ...Object.entries(table.columns).map(([name, column]) => element("tr", {}, element("th", {scope: "row"}, element("a", {href: address(chosen.dataset, chosen.table, name)}, ...breakable(name))),
        element("td", {}, column.type), element("td", {}, ...prose(column.description))))))),
  ];
}

function aboutAll() {
  const {title, tables} = lineage[chosen.dataset], columns = Object.values(tables).reduce((sum, table) => sum + Object.keys(table.columns).length, 0);
  return [[element("h2", {}, title), element("p", {}, `${counted(Object.keys(tables).length, "table")}, ${counted(columns, "column")}. Choose a table, or a column to see where it comes from and what is made of it.`)],
    [element("p", {class: "quiet"}, "Keys: / finds, arrows go along the flow and down a table, Enter chooses, Escape goes back a step.")]];
}

// The address chooses: dataset, table, column.
function choose() {
  const [dataset, table, column] = location.hash.slice(1).split("/").map(part => { try { return decodeURIComponent(part); } catch { return part; } });
  const known = lineage[dataset]?.tables[table];
  const before = chosen.dataset;
  chosen = {dataset: lineage[dataset] ? dataset : before ?? Object.keys(lineage)[0], table: known && table, column: known?.columns[column] && column};
  if (chosen.dataset !== before) {
    opened = new Set();
    const inOrder = Object.entries(tablesOf()).sort(([, one], [, other]) => FOUND_FIRST.indexOf(one.layer) - FOUND_FIRST.indexOf(other.layer));
    entries = inOrder.flatMap(([name, found]) => [{name, of: "", href: address(chosen.dataset, name), more: found.description},
      ...Object.entries(found.columns).map(([each, about]) => ({name: each, of: name, href: address(chosen.dataset, name, each), more: about.description}))]);
  }
  tell(dataset && !lineage[dataset] ? `There is no dataset ${dataset} that you may see.` : table && !known ? `${dataset} has no table ${table}.` : column && !chosen.column ? `${table} of ${dataset} has no column ${column}.`
    : Object.keys(tablesOf()).length ? "" : `Nothing is known of ${chosen.dataset} yet. Make it: python -m include docs`);
  $("datasets").replaceChildren(...Object.keys(lineage).map(name => element("a", {href: address(name, ...(lineage[name].tables[chosen.table]?.columns[chosen.column] ? [chosen.table, chosen.column] : lineage[name].tables[chosen.table] ? [chosen.table] : [])),
    "aria-current": name === chosen.dataset ? "page" : null}, name)));
  document.title = ["Lineage", chosen.table, chosen.column].filter(Boolean).join(" · ");
  draw();
  $("about").replaceChildren(...(chosen.column ? aboutColumn() : chosen.table ? aboutTable() : aboutAll()).map(parts => element("div", {}, ...parts)));
  if (to_focus) document.querySelector(`#graph a[href="${CSS.escape(to_focus)}"]`)?.focus({preventScroll: true});
  to_focus = null;
  show(document.querySelector("#graph [aria-current]"));
  // So that the window's own address leads here again.
  if (window.parent !== window && location.hash) parent.history.replaceState(parent.history.state, "", parent.location.pathname + parent.location.search + location.hash);
}
// Scrolls the graph alone.
function show(link) {
  if (!link) return;
  const graph = $("graph"), at = link.getBoundingClientRect(), seen = graph.getBoundingClientRect();
  if (at.left < seen.left || at.right > seen.right) graph.scrollLeft += at.left + at.width / 2 - seen.left - seen.width / 2;
  if (at.top < seen.top + TOP || at.bottom > seen.bottom) graph.scrollTop += at.top + at.height / 2 - seen.top - seen.height / 2;
}
function tell(words) { $("status").textContent = words; }

const search = $("search"), found = $("found");
let picked = -1, to_focus = null;
function find() {
  const words = search.value.toLowerCase().split(/[\s.]+/).filter(Boolean), last = words.at(-1);
  const rank = ({name, of, more}) => {
    if (!words.every(word => name.includes(word) || of.includes(word))) return words.every(word => more.toLowerCase().includes(word)) ? 4 : 9;
    return name === last ? 0 : name.startsWith(last) ? 1 : name.includes(last) ? 2 : 3;
  };
  const hits = !words.length ? [] : entries.map(each => [rank(each), each]).filter(([rank]) => rank < 9).sort(([a], [b]) => a - b).slice(0, MOST_FOUND).map(([, each]) => each);
  found.replaceChildren(...hits.map((each, count) => element("li", {role: "option", id: `found-${count}`, "aria-selected": "false", "data-href": each.href, onmousedown: event => { event.preventDefault(); go(each.href); }},
    each.name, element("span", {class: "quiet"}, each.of ? ` of ${each.of}` : " (table)"))));
  if (words.length && !hits.length) found.replaceChildren(element("li", {role: "option", "aria-selected": "false", "aria-disabled": "true", class: "quiet"}, "Nothing is called so."));
  found.hidden = !words.length;
  search.setAttribute("aria-expanded", String(!found.hidden));
  pick(hits.length ? 0 : -1);
}
function pick(place) {
  picked = place;
  [...found.children].forEach((each, count) => each.setAttribute("aria-selected", String(count === place)));
  if (place < 0) { search.removeAttribute("aria-activedescendant"); return; }
  search.setAttribute("aria-activedescendant", `found-${place}`);
  found.children[place].scrollIntoView({block: "nearest"});
}
// `focused`: the link in the graph that the keyboard is on then.
function go(href, focused = href) {
  search.value = ""; find();
  to_focus = focused;
  if (HERE + location.hash === href) choose(); else location.href = href;  // which calls choose a moment later
}
search.addEventListener("input", find);
search.addEventListener("blur", () => { found.hidden = true; search.setAttribute("aria-expanded", "false"); });
search.addEventListener("keydown", event => {
  const hits = found.querySelectorAll("[data-href]");
  if (event.key === "Escape") { event.stopPropagation(); if (search.value) { search.value = ""; find(); } else search.blur(); }
  else if (!hits.length || found.hidden) return;
  else if (event.key === "ArrowDown") pick((picked + 1) % hits.length);
  else if (event.key === "ArrowUp") pick((picked + hits.length - 1) % hits.length);
  else if (event.key === "Enter") go(hits[picked].dataset.href);
  else return;
  event.preventDefault();
});

// Left and right go along the flow, to what the graph shows; up and down through it in its own order.
function neighbour(link, name) {
  const all = [...document.querySelectorAll("#graph a")];
  if (name === "ArrowUp" || name === "ArrowDown") return all[all.indexOf(link) + (name === "ArrowUp" ? -1 : 1)];
  const [, table, column] = link.hash.slice(1).split("/").map(decodeURIComponent), {parents, children} = indexes[chosen.dataset], is_up = name === "ArrowLeft";
  const near = column ? (is_up ? inputsOf : readersOf)(table, column) : [...(is_up ? parents : children).get(table)].map(each => ({table: each}));
  const hrefs = near.flatMap(each => [address(chosen.dataset, each.table, each.column), address(chosen.dataset, each.table)]);
  return hrefs.map(href => all.find(each => each.getAttribute("href") === href)).find(Boolean);
}
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && event.target !== search) { event.preventDefault(); search.focus(); return; }
  if (event.key === "Escape" && event.target !== search && chosen.table) { go(address(chosen.dataset, chosen.column && chosen.table), address(chosen.dataset, chosen.table)); return; }
  const link = event.target.closest?.("#graph a"), next = link && event.key.startsWith("Arrow") && neighbour(link, event.key);
  if (link && event.key.startsWith("Arrow")) event.preventDefault();
  if (next) { next.focus({preventScroll: true}); show(next); }
});
for (const id of ["all", "deciding"]) $(id).addEventListener("change", choose);
window.addEventListener("hashchange", choose);

const dark = matchMedia("(prefers-color-scheme: dark)"), of_parent = window.parent !== window && window.parent.document.documentElement;
const theme = () => document.documentElement.classList.toggle("dark", of_parent ? of_parent.classList.contains("dark") : dark.matches);
theme();
if (of_parent) new MutationObserver(theme).observe(of_parent, {attributes: true, attributeFilter: ["class"]}); else dark.addEventListener("change", theme);

async function load() {
  const answer = await fetch("tables" + (asked.get("dag_id") ? `?dag_id=${encodeURIComponent(asked.get("dag_id"))}` : ""));
  if (!answer.ok) {
    const said = await answer.text();
    let detail = said;
    try { detail = JSON.parse(said).detail; } catch { /* no JSON: a proxy's page, or a failure of the server */ }
    throw new Error(answer.status === 401 ? "You are not logged in any more: reload Airflow." : `The lineage is not there (${answer.status}): ${detail}`);
  }
  lineage = await answer.json();
  if (!Object.keys(lineage).length) {
    tell(asked.get("dag_id") ? `${asked.get("dag_id")} makes no table that you may see.` : "There is no dataset whose runs you may read.");
    return;
  }
  indexes = Object.fromEntries(Object.entries(lineage).map(([name, {tables}]) => [name, indexOf(tables)]));
  choose();
  // Airflow's menu leaves the keyboard in the window around the frame, where the keys of this page do nothing.
  if (window.parent !== window && document.activeElement === document.body && !parent.document.activeElement?.matches("input, textarea, select")) window.focus();
}
load().catch(error => tell(error.message));
