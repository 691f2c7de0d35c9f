// @ts-check
// What a worker tells about its whole application (docs/status.md), drawn. No library: the server lays out the picture,
// and what is left is tables, bars and lines (charts.js). Dashboards are in dashboard.js.
'use strict';

/** @typedef {{activity: string, share: number}} Share */
/** @typedef {{name: string, kind: string, stage: string, summary: string, yaml: string, in_per_s: number,
 *    out_per_s: number, busy: number, lag: number, reads: boolean, watermark_ms: number, idle: boolean, ledger: string,
 *    time: Share[], error: string, state_bytes: number}} Box */
/** @typedef {{state: string, sentence: string, node: string}} Verdict */
/** @typedef {{stage: string, partition: number, worker: string, lag: number, watermark_ms: number, idle: boolean,
 *    state_bytes: number}} Place */
/** @typedef {{application: string, wall_ms: number, verdict: Verdict, findings: {node: string, text: string}[],
 *    nodes: Box[], arrows: {from: string, to: string}[],
 *    readers: {name: string, lag: number, behind_s: number, to_go_s: number}[], workers: any[],
 *    places: Place[], dead_letters: {step: string, rows: number}[], dead_letter_topic: string,
 *    views: {view: string, ready: boolean, rows: number}[], alarms: {name: string, kind: string, text: string}[],
 *    freshness: {name: string, view: boolean, age_s: number, confirmed: boolean, warn_s: number, max_s: number,
 *      grows: boolean, breach_in_s: number}[],
 *    note: string}} Status */
/** @typedef {{wall_ms: number, nodes: Record<string, {in_per_s: number, busy: number, lag: number}>}} Moment */

const EVERY_MS = 2000;
const state = {
  /** @type {Status|null} */ status: null,
  /** @type {Moment[]} */ history: [],
  failed: false,
  board: false, // a dashboard is shown, and nothing else
  locked: 0, // the answer that asks for a token, 401 or 403; else 0
  pictured: '', // the shape of what is drawn
  /** @type {any} */ answer: null, // of the view that is shown
};

/** @param {string} id @returns {HTMLElement} */
const at = id => /** @type {HTMLElement} */ (document.getElementById(id));

/** An element with attributes and children; text is always text.
 * @param {string} name @param {Record<string, any>} attributes @param {...any} children @returns {HTMLElement} */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value != null) element.setAttribute(key, String(value));
  }
  element.append(...children.flat().filter(child => child != null));
  return element;
}

/** @param {string} name @param {Record<string, any>} attributes @param {...any} children */
function draw(name, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

// ---- Words

/** @param {number} n */
const count = n => Math.round(n).toLocaleString('en-US');
/** @param {number} n */
const rate = n => (n > 0 && n < 9.5 ? n.toFixed(1) : count(n));
/** @param {number} share */
const percent = share => `${Math.round(share * 100)}%`;
/** @param {number} s */
function seconds(s) {
  if (s < 0.95) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}
/** @param {number} ms */
const moment = ms => new Date(ms).toISOString().replace('T', ' ').slice(0, 19);
/** @param {number} n */
const bytes = n => (n < 1e6 ? `${Math.round(n / 1e3)} kB` : n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`);

/** @param {(string|HTMLElement)[]} head @param {any[][]} rows @param {Set<number>} numbers columns of numbers */
function table(head, rows, numbers) {
  const cell = (/** @type {string} */ name) => (/** @type {any} */ content, /** @type {number} */ i) =>
    make(name, {class: numbers.has(i) ? 'number' : null, scope: name === 'th' ? 'col' : null}, content);
  return [make('thead', {}, make('tr', {}, head.map(cell('th')))),
          make('tbody', {}, rows.map(row => make('tr', {}, row.map(cell('td')))))];
}

// ---- What is chosen stands in the address, so that it can be shared

const chosen = () => new URLSearchParams(location.hash.slice(1));
/** @param {Record<string, string|null>} changes */
function choose(changes) {
  const now = chosen();
  for (const [key, value] of Object.entries(changes)) {
    if (value == null || value === '') now.delete(key);
    else now.set(key, value);
  }
  location.hash = now.toString();
}

// ---- Tokens stay until the tab is closed
const STATUS_TOKEN = 'status-token';
/** @param {string} key @returns {{headers: Record<string, string>}} */
function withToken(key) {
  const token = sessionStorage.getItem(key) ?? sessionStorage.getItem(STATUS_TOKEN);
  return {headers: token ? {Authorization: `Bearer ${token}`} : {}};
}

/** @param {string} key @param {string} label @param {() => void} then */
function askToken(key, label, then) {
  const input = /** @type {HTMLInputElement} */ (make('input', {type: 'password', class: 'wide', autocomplete: 'off',
                                                              'aria-label': 'token', placeholder: label}));
  return make('form', {onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    sessionStorage.setItem(key, input.value.trim());
    then();
  }}, input, make('button', {}, 'Ask'));
}

// ---- The picture

/** What the picture is drawn from. @param {Status} status */
const shapeOf = status => JSON.stringify([status.nodes.map(node => [node.name, node.kind]), status.arrows.map(arrow => [arrow.from, arrow.to])]);

/** Anew where the worker has another topology since. @param {Status} status */
async function loadPicture(status) {
  const shape = shapeOf(status);
  if (shape === state.pictured) return;
  const answer = await fetch('v1/topology.svg', withToken(STATUS_TOKEN));
  if (!answer.ok) throw new Error(String(answer.status));
  at('graph').innerHTML = await answer.text(); // the worker's own picture, names escaped there
  state.pictured = shape;
  const picture = at('graph').querySelector('svg');
  picture?.style.setProperty('--natural', `${picture.getAttribute('width')}px`); // smaller ones aren't blown up
  for (const box of document.querySelectorAll('.graph .node')) {
    const name = box.getAttribute('data-node');
    const pick = () => choose({node: chosen().get('node') === name ? null : name});
    box.setAttribute('tabindex', '0');
    box.setAttribute('role', 'button');
    box.addEventListener('click', pick);
    box.addEventListener('keydown', event => {
      const key = /** @type {KeyboardEvent} */ (event).key;
      if (key !== 'Enter' && key !== ' ') return;
      event.preventDefault();
      pick();
    });
  }
}

/** @param {Box} node */
function noteOf(node) {
  if (node.error) return 'does not get through';
  const said = [];
  if (node.busy >= 0.005) said.push(`${percent(node.busy)} busy`);
  if (node.reads && node.lag >= 1) said.push(`lag ${count(node.lag)}`);
  if (node.idle) said.push('idle');
  return said.join(' · ');
}

/** @param {Status} status */
function drawFigures(status) {
  for (const node of status.nodes) {
    const box = document.querySelector(`.graph .node[data-node="${CSS.escape(node.name)}"]`);
    if (!box) continue;
    const ends = node.kind === 'sink' || node.kind === 'view';
    const set = (/** @type {string} */ name, /** @type {string} */ text) => {
      const element = box.querySelector(`.${name}`);
      if (element) element.textContent = text;
    };
    set('rate', `${rate(ends && node.time.length ? node.out_per_s : node.in_per_s)} rows/s`);
    set('note', noteOf(node));
    set('out', !ends && node.out_per_s >= 0.05 ? rate(node.out_per_s) : '');
    box.querySelector('.busy')?.setAttribute('width', String(Math.min(1, node.busy) * 176));
    box.classList.toggle('hot', node.busy >= 0.8);
    box.classList.toggle('limit', (status.verdict.state !== 'up_to_date' && status.verdict.node === node.name) || node.error !== '');
    box.classList.toggle('chosen', chosen().get('node') === node.name);
  }
}

// ---- One node

/** @param {number[]} values @param {string} name @param {(n: number) => string} words */
function spark(values, name, words) {
  const most = Math.max(...values, 1e-9);
  const step = 100 / Math.max(1, values.length - 1);
  const points = values.map((value, i) => `${(i * step).toFixed(2)},${(50 - (value / most) * 46).toFixed(1)}`).join(' ');
  return make('div', {}, make('p', {class: 'soft'}, `${name}: now ${words(values[values.length - 1] ?? 0)}, at most ${words(most < 1e-8 ? 0 : most)}`),
              draw('svg', {class: 'spark', viewBox: '0 0 100 54', preserveAspectRatio: 'none', role: 'img', 'aria-label': name},
                   draw('polyline', {points})));
}

/** @param {Status} status */
function showNode(status) {
  const name = chosen().get('node');
  const node = status.nodes.find(each => each.name === name);
  const section = at('node');
  section.hidden = !node;
  if (!node) return;
  const past = state.history.map(each => each.nodes[node.name]).filter(Boolean);
  const charts = past.length < 2 ? [make('p', {class: 'soft'}, 'The history begins.')] : [
    spark(past.map(each => each.in_per_s), 'rows a second', rate),
    spark(past.map(each => each.busy), 'busy', percent),
    node.reads ? spark(past.map(each => each.lag), 'lag', count) : null,
    make('p', {class: 'soft'}, `The last ${seconds((status.wall_ms - state.history[0].wall_ms) / 1000)}.`)];
  section.replaceChildren(
    make('div', {class: 'heading'}, make('h2', {}, `${node.kind} ${node.name}`),
         make('button', {type: 'button', onclick: () => choose({node: null})}, 'Close')),
    make('p', {class: 'soft'}, node.summary, node.stage ? ` — in stage ${node.stage}` : ''),
    node.error ? make('p', {}, make('b', {}, node.error)) : '',
    make('div', {class: 'columns'},
         make('div', {}, ...charts),
         make('div', {},
              ...(node.time.length ? [make('p', {class: 'soft'}, 'What its time goes to'), make('div', {class: 'share'},
                [...node.time].sort((a, b) => b.share - a.share)
                  .flatMap(share => [make('span', {}, share.activity), make('span', {class: 'number'}, percent(share.share))]))] : []),
              make('p', {class: 'soft'}, 'Ledger'), make('pre', {}, node.ledger || 'nothing yet'),
              node.yaml ? make('p', {class: 'soft'}, 'In the topology') : '', node.yaml ? make('pre', {}, node.yaml) : '')));
}

// ---- Tables

/** @param {Status} status */
function showTables(status) {
  at('findings').replaceChildren(...(status.findings.length ? status.findings : [{node: '', text: 'Nothing.'}]).map(
    finding => make('li', {}, finding.node ? make('b', {}, `${finding.node}: `) : '', finding.text)));
  const readers = new Map(status.readers.map(reader => [reader.name, reader]));
  at('times').replaceChildren(...table(['', 'lag', 'behind', 'time (UTC)', 'clock ahead of it'],
    status.nodes.filter(node => node.reads || node.watermark_ms > 0).map(node => [
      `${node.kind} ${node.name}`, node.reads ? count(node.lag) : '',
      readers.get(node.name)?.behind_s ? seconds(readers.get(node.name)?.behind_s ?? 0) : '',
      node.watermark_ms > 0 ? moment(node.watermark_ms) : '',
      node.idle ? 'idle' : node.watermark_ms > 0 ? seconds(Math.max(0, (status.wall_ms - node.watermark_ms) / 1000)) : '']),
    new Set([1, 2, 4])));
  at('freshness').hidden = status.freshness.length === 0;
  at('freshness-table').replaceChildren(...table(['', 'age', 'warn at', 'at most', 'reached in'],
    status.freshness.map(each => [`${each.view ? 'view' : 'sink'} ${each.name}`,
      `${each.confirmed ? '' : '≥ '}${seconds(each.age_s)}`, seconds(each.warn_s), seconds(each.max_s),
      each.grows ? seconds(each.breach_in_s) : '']), new Set([1, 2, 3, 4])));
  at('workers').replaceChildren(...table(['worker', 'state', 'threads', 'tasks', 'busy', 'commits/s', 'a commit', 'address'],
    status.workers.map(worker => [worker.worker, worker.state, worker.threads, worker.tasks, percent(worker.busy),
      rate(worker.commits_per_s), `${Math.round(worker.commit_ms)} ms`, worker.address]), new Set([2, 3, 4, 5, 6])));
  showPlaces(status);
  at('letters').hidden = status.dead_letters.length === 0;
  at('letter-table').replaceChildren(...table(['step', 'rows'],
    status.dead_letters.map(each => [each.step, count(each.rows)]), new Set([1])));
  at('letter-advice').textContent = `They are in topic ${status.dead_letter_topic}. \`tidemark dead-letters list\` groups ` +
    'them by reason, `show` shows them and `replay` gives them back after a fix; so does this page, by a token.';
  if (status.dead_letters.length > 0) showLetterForm();
}

/** @param {Status} status */
function showPlaces(status) {
  const stages = [...new Set(status.places.map(place => place.stage))];
  const partitions = [...new Set(status.places.map(place => place.partition))].sort((a, b) => a - b);
  const find = (/** @type {string} */ stage, /** @type {number} */ partition) =>
    status.places.find(place => place.stage === stage && place.partition === partition);
  at('places').replaceChildren(...table(['partition', ...stages], partitions.map(partition => [
    partition, ...stages.map(stage => {
      const place = find(stage, partition);
      if (!place) return '';
      return make('span', {title: `state ${bytes(place.state_bytes)}`},
                  `${place.worker}${place.lag >= 1 ? ` · ${count(place.lag)}` : ''}${place.idle ? ' · idle' : ''}`);
    })]), new Set()));
}

// ---- Views

/** @param {Status} status */
function showViewNames(status) {
  at('views').hidden = status.views.length === 0;
  const now = chosen().get('view');
  at('view-names').replaceChildren(...status.views.map(view => make('button', {
    type: 'button', 'aria-pressed': String(view.view === now),
    onclick: () => choose({view: view.view === now ? null : view.view, ask: null, x: null, y: null, show: null}),
  }, `${view.view} (${view.ready ? `${count(view.rows)} rows` : 'not ready'})`)));
}

async function askView() {
  const name = chosen().get('view');
  if (!name) {
    state.answer = null;
    at('view').replaceChildren();
    return;
  }
  const question = new URLSearchParams(chosen().get('ask') ?? '');
  if (!question.has('limit')) question.set('limit', '50');
  try {
    const answer = await fetch(`v1/views/${encodeURIComponent(name)}?${question}`, withToken(`token:${name}`));
    const told = await answer.json();
    state.answer = {name, status: answer.status, ...told};
  } catch (error) {
    state.answer = {name, status: 0, error: 'the worker does not answer'};
  }
  showView();
}

/** Rows are drawn anew with each answer, the form only when something else is chosen. */
function showView() {
  const answer = state.answer;
  if (!answer) return;
  const key = `${answer.name} ${[401, 403].includes(answer.status)} ${Object.keys(answer.rows?.[0] ?? {})} ${location.hash}`;
  if (at('view').dataset.key !== key) {
    at('view').dataset.key = key;
    at('view').replaceChildren([401, 403].includes(answer.status) ? askToken(`token:${answer.name}`, `token for view ${answer.name}`, askView) : viewForm(answer),
                               make('div', {id: 'rows'}));
  }
  const rows = answer.rows ?? [];
  const show = chosen().get('show') ?? 'table';
  const body = answer.error ? [make('p', {}, answer.error)]
    : rows.length === 0 ? [make('p', {class: 'soft'}, 'No rows.')]
    : show === 'bars' ? [bars(rows, axis('x', rows), axis('y', rows))]
    : show === 'line' ? [line(rows, axis('x', rows), axis('y', rows))] : [rowTable(rows)];
  if (answer.position != null) {
    body.push(make('p', {class: 'soft'}, `${count(rows.length)} rows${answer.next ? ' of more' : ''}` +
      `${answer.as_of ? `, as of ${answer.as_of}` : ''}, position ${answer.position}, ${answer.age_ms} ms old`));
  }
  at('rows').replaceChildren(...body);
}

/** @param {any} answer */
function viewForm(answer) {
  const columns = Object.keys(answer.rows?.[0] ?? {});
  const pick = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string[]} */ values, /** @type {string} */ now) =>
    make('label', {}, make('span', {}, label), make('select', {onchange: (/** @type {any} */ event) => choose({[name]: event.target.value})},
      values.map(value => make('option', {selected: value === now}, value))));
  const ask = /** @type {HTMLInputElement} */ (make('input', {class: 'wide', 'aria-label': 'question', value: chosen().get('ask') ?? '',
    placeholder: 'column=value&order=n desc&limit=10'}));
  const chart = (chosen().get('show') ?? 'table') !== 'table';
  return make('form', {onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); choose({ask: ask.value}); }},
    ask, make('button', {}, 'Ask'), pick('show', 'as', ['table', 'bars', 'line'], chosen().get('show') ?? 'table'),
    ...(chart ? [pick('x', 'by', columns, axis('x', answer.rows ?? [])), pick('y', 'value', columns, axis('y', answer.rows ?? []))] : []));
}

/** @param {'x'|'y'} which @param {any[]} rows */
function axis(which, rows) {
  const stated = chosen().get(which);
  const columns = Object.keys(rows[0] ?? {});
  if (stated && columns.includes(stated)) return stated;
  const numbers = columns.filter(column => typeof rows[0][column] === 'number');
  const texts = columns.filter(column => typeof rows[0][column] === 'string');
  return (which === 'y' ? numbers[numbers.length - 1] : texts[texts.length - 1]) ?? columns[0] ?? '';
}

// ---- The loop

function show() {
  const status = state.status;
  if (!status) return;
  document.title = `${status.application} · Tidemark`;
  at('application').textContent = status.application;
  const verdict = at('verdict');
  const sentence = state.failed ? `The worker does not answer. Its last word: ${status.verdict.sentence}` : status.verdict.sentence;
  const heading = (state.board && theBoard()?.title) || sentence;
  if (verdict.textContent !== heading) verdict.textContent = heading;
  verdict.className = state.failed ? 'lost' : status.verdict.state;
  at('told').textContent = `${moment(status.wall_ms)} UTC`;
  at('note').textContent = state.board ? sentence : status.note;
  at('all').hidden = state.board || state.locked !== 0;
  at('alarms').replaceChildren(...status.alarms.map(alarm => make('li', {}, `Alarm (${alarm.kind}): ${alarm.name}: ${alarm.text}`)));
  drawFigures(status);
  showNode(status);
  showTables(status);
  showViewNames(status);
}

/** Without a token that is for it nothing is shown but the question for one. @param {number} status */
function showLock(status) {
  if (status && !state.board) at('verdict').textContent = status === 401 ? 'This worker tells its status by token.' : 'This token is not for the status.';
  if (status && state.board) at('verdict').textContent = theBoard()?.title ?? 'This worker tells its dashboards by token.';
  at('all').hidden = status !== 0 || state.board;
  const asks = status !== 0 && !state.board; // whoever may see a dashboard need not see how it runs
  if (asks && !at('entry').childElementCount) at('entry').replaceChildren(askToken(STATUS_TOKEN, 'token with the scope worker:status', look));
  if (!asks) at('entry').replaceChildren();
  state.locked = status;
}

async function look() {
  state.board = await lookAtBoards();
  try {
    const answer = await fetch('v1/status', withToken(STATUS_TOKEN));
    showLock([401, 403].includes(answer.status) ? answer.status : 0);
    if (state.locked) return;
    if (!answer.ok) throw new Error(String(answer.status));
    state.status = await answer.json();
    state.failed = false;
    const last = state.history[state.history.length - 1];
    const now = state.status?.wall_ms ?? 0; // the worker's clock, as the history's is
    if (chosen().get('node') && (!last || now - last.wall_ms > 8000)) {
      state.history = (await (await fetch('v1/status/history', withToken(STATUS_TOKEN))).json()).moments;
    }
    if (state.status) await loadPicture(state.status);
  } catch (error) {
    state.failed = true;
    if (!state.status) at('verdict').textContent = 'The worker does not answer.';
  }
  show();
  if (!state.board) await Promise.all([askView(), askRows()]);
}

async function main() {
  addEventListener('hashchange', () => { show(); look(); });
  addEventListener('visibilitychange', () => followBoard(theBoard()));
  for (;;) {
    await look();
    await new Promise(done => setTimeout(done, document.hidden ? 5 * EVERY_MS : EVERY_MS));
  }
}

main();
