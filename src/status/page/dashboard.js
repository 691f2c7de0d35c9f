// @ts-check
// Dashboards of the topology (docs/dashboards.md): panels of views, asked anew when a view's stream of changes says so.
'use strict';

/** @typedef {{name: string, title: string, view: string, show: string, x: string, y: string, by: string, columns: string[],
 *    latest: string, where: string, order: string[], limit: number, times: Record<string, number>}} Panel */
/** @typedef {{name: string, title: string, choose: string, panels: Panel[]}} Board */

const MOST_CHOICES = 200;
// A browser has six connections to a server, for all tabs together: further views are asked every two seconds.
const MOST_FOLLOWED = 2;
const CALM_MS = 500; // between two rounds of questions
const board = {
  /** @type {Board[]} */ all: [],
  loaded: 0,   // when, by this machine's clock
  /** @type {any[]} */ values: [], // to choose from
  valuesOf: '', // the dashboard whose they are
  valuesAt: 0,
  /** @type {Map<string, AbortController>} */ followed: new Map(), // by view
  /** @type {Set<string>} */ changed: new Set(),
  asking: false,
  again: false, // somebody wanted all anew meanwhile
  /** @type {string|null} */ pick: null, // that was asked for last
  drawn: '', // what the frame was made for
};

const theBoard = () => board.all.find(each => each.name === chosen().get('dashboard'));

/** @param {string} view @param {Record<string, any>} question @returns {Promise<any>} */
async function askOf(view, question) {
  const {headers} = withToken(`token:${view}`);
  try {
    const answer = await fetch(`v1/views/${encodeURIComponent(view)}/query`, {
      method: 'POST', headers: {...headers, 'Content-Type': 'application/json'}, body: JSON.stringify(question)});
    const said = await answer.text();
    try {
      return {status: answer.status, ...JSON.parse(said)};
    } catch (error) {
      return {status: answer.status, error: said};
    }
  } catch (error) {
    return {status: 0, error: 'The worker does not answer.'};
  }
}

async function loadBoards() {
  if (board.loaded && Date.now() - board.loaded < 10_000) return;
  const answer = await fetch('v1/dashboards', withToken(STATUS_TOKEN));
  if (!answer.ok) return;
  board.all = (await answer.json()).dashboards;
  board.loaded = Date.now();
}

// ---- The value that is chosen

/** Each value that the column has, in its order: a question for the first one behind the last. @param {Board} of */
async function loadValues(of) {
  if (!of.choose || (board.valuesOf === of.name && Date.now() - board.valuesAt < 30_000)) return;
  const values = [];
  while (values.length < MOST_CHOICES) {
    const filter = values.length ? {[of.choose]: {after: values[values.length - 1]}} : {};
    const answer = await askOf(of.panels[0].view, {columns: [of.choose], order: [of.choose], limit: 1, filter});
    if (!answer.rows?.length || answer.rows[0][of.choose] == null) break;
    values.push(answer.rows[0][of.choose]);
  }
  Object.assign(board, {values, valuesOf: of.name, valuesAt: values.length ? Date.now() : 0});
}

function pickedValue() {
  const stated = chosen().get('pick');
  if (stated == null) return board.values[0];
  const known = board.values.find(value => String(value) === stated);
  return known ?? (typeof board.values[0] === 'number' ? Number(stated) : stated);
}

// ---- Panels

/** @param {Board} of @param {Panel} panel */
async function answerOf(of, panel) {
  /** @type {Record<string, any>} */
  const filter = of.choose && pickedValue() !== undefined ? {[of.choose]: pickedValue()} : {};
  /** @type {Record<string, any>} */
  const rest = panel.where ? {where: panel.where} : {};
  if (panel.latest) {
    const newest = await askOf(panel.view, {...rest, filter, columns: [panel.latest], order: [`${panel.latest} desc`], limit: 1});
    if (!newest.rows?.length) return newest;
    filter[panel.latest] = newest.rows[0][panel.latest];
  }
  const columns = panel.show === 'table' ? panel.columns : [...new Set([panel.x, panel.y, panel.by].filter(Boolean))];
  const order = panel.order.length ? panel.order : panel.show === 'line' ? [`${panel.x} desc`] : [];
  const answer = await askOf(panel.view, {...rest, filter, limit: panel.limit, ...(columns.length ? {columns} : {}), ...(order.length ? {order} : {})});
  const rows = answer.rows?.map((/** @type {any} */ row) => withTimes(row, panel));
  const latest = panel.latest ? withTimes({[panel.latest]: filter[panel.latest]}, panel)[panel.latest] : null;
  return {...answer, rows, latest};
}

/** Times that are numbers, as people read them. @param {Record<string, any>} row @param {Panel} panel */
function withTimes(row, panel) {
  const out = {...row};
  for (const [column, perSecond] of Object.entries(panel.times)) {
    if (typeof out[column] !== 'number') continue;
    const time = new Date((out[column] / perSecond) * 1000); // years beyond a Date's stay numbers
    if (!Number.isNaN(time.getTime())) out[column] = time.toISOString().replace('.000Z', 'Z');
  }
  return out;
}

/** @param {Panel} panel @param {any} answer */
function showPanel(panel, answer) {
  const body = document.getElementById(`panel-${panel.name}`);
  if (!body) return;
  const locked = [401, 403].includes(answer.status);
  if (locked && body.dataset.locked) return; // what is being typed stays
  body.dataset.locked = locked ? 'yes' : '';
  const rows = answer.rows ?? [];
  const told = answer.as_of ? `As of ${answer.as_of}` : '';
  body.replaceChildren(...(locked ? [askToken(`token:${panel.view}`, `token for view ${panel.view}`, () => { board.valuesAt = 0; body.dataset.locked = ''; askPanels(); })]
    : answer.error ? [make('p', {}, answer.error)]
    : rows.length === 0 ? [make('p', {class: 'soft'}, 'No rows.')]
    : [panel.show === 'bars' ? bars(panel.order.length ? rows : [...rows].sort((a, b) => b[panel.y] - a[panel.y]), panel.x, panel.y)
       : panel.show === 'line' ? line(rows, panel.x, panel.y, panel.by) : rowTable(rows, panel.columns.length ? panel.columns : undefined),
       make('p', {class: 'soft'}, [answer.latest == null ? '' : `${panel.latest} ${text(answer.latest)}`, told].filter(Boolean).join('. '))]));
}

/** Of all views, or of those that have changed. @param {Set<string>} [views] */
async function askPanels(views) {
  const of = theBoard();
  if (board.asking && !views) board.again = true;
  if (!of || board.asking) return;
  board.asking = true;
  try {
    await loadValues(of);
    showFrame(of);
    for (const panel of of.panels) {
      if (views && !views.has(panel.view)) continue;
      const value = pickedValue();
      const answer = await answerOf(of, panel);
      if (theBoard()?.name === of.name && pickedValue() === value) showPanel(panel, answer);
    }
  } finally {
    board.asking = false;
  }
  if (!board.again) return;
  board.again = false;
  await askPanels();
}

/** Title, choice and empty panels: made anew only where they are others. @param {Board} of */
function showFrame(of) {
  const key = JSON.stringify([of, board.values, String(pickedValue())]);
  if (board.drawn === key && at('board').childElementCount) return;
  board.drawn = key;
  const had = document.activeElement?.id === 'choice';
  const options = board.values.map(value => make('option', {selected: String(value) === String(pickedValue())}, String(value)));
  at('board').replaceChildren(
    of.choose ? make('form', {onsubmit: (/** @type {Event} */ event) => event.preventDefault()},
      make('label', {}, make('span', {}, of.choose), make('select', {id: 'choice', onchange: (/** @type {any} */ event) => choose({pick: event.target.value})}, options)),
      board.values.length === MOST_CHOICES ? make('span', {class: 'soft'}, `the first ${MOST_CHOICES}`) : null) : '',
    make('div', {class: 'panels'}, of.panels.map(panel => make('section', {'aria-label': panel.title},
      make('h2', {}, panel.title), make('div', {id: `panel-${panel.name}`}, make('p', {class: 'soft'}, 'Asking …'))))));
  if (had) document.getElementById('choice')?.focus();
}

// ---- Changes

/** Until the stream ends, as it does where it falls behind; the next turn of the loop begins it again. @param {string} view */
async function follow(view) {
  const stop = new AbortController();
  board.followed.set(view, stop);
  try {
    const answer = await fetch(`v1/views/${encodeURIComponent(view)}/changes`, {signal: stop.signal, ...withToken(`token:${view}`)});
    const reader = answer.ok ? answer.body?.getReader() : undefined;
    for (;;) {
      const piece = await reader?.read();
      if (!piece || piece.done) break;
      if (piece.value[0] === 58) continue; // a comment: nothing has changed
      if (board.changed.size === 0) setTimeout(askChanged, CALM_MS);
      board.changed.add(view);
    }
  } catch (error) {
    // It was stopped, or the worker is away: the loop says so.
  }
  if (board.followed.get(view) === stop) board.followed.delete(view);
}

async function askChanged() {
  if (board.asking) {
    setTimeout(askChanged, CALM_MS);
    return;
  }
  const views = new Set(board.changed);
  board.changed.clear();
  await askPanels(views);
}

/** Streams of the views that are looked at, and no others. @param {Board|undefined} of */
function followBoard(of) {
  const views = new Set(document.hidden ? [] : (of?.panels ?? []).map(panel => panel.view));
  const wanted = [...views].slice(0, MOST_FOLLOWED);
  for (const [view, stop] of board.followed) {
    if (wanted.includes(view)) continue;
    board.followed.delete(view);
    stop.abort();
  }
  for (const view of wanted) {
    if (!board.followed.has(view)) follow(view);
  }
}

/** A turn of the page's loop. @returns {Promise<boolean>} whether a dashboard is shown */
async function lookAtBoards() {
  try {
    await loadBoards();
  } catch (error) {
    // Said by what the page asks next.
  }
  const of = theBoard();
  const name = chosen().get('dashboard');
  at('boards').hidden = board.all.length === 0;
  at('boards').replaceChildren(...[{name: null, title: 'How it runs'}, ...board.all].map(each => make('a', {
    href: each.name == null ? '#' : `#dashboard=${encodeURIComponent(each.name)}`,
    'aria-current': (each.name ?? null) === (of?.name ?? null) ? 'page' : null}, each.title)));
  at('board').hidden = name == null;
  if (name == null) {
    followBoard(undefined);
    return false;
  }
  if (!of) {
    at('board').replaceChildren(board.loaded ? make('p', {}, `There is no dashboard ${name}.`)
      : askToken(STATUS_TOKEN, 'token with the scope worker:status or that of a view', () => lookAtBoards()));
    board.drawn = '';
    return true;
  }
  followBoard(of);
  const fresh = !board.drawn.startsWith(JSON.stringify([of]).slice(0, -1)) || board.pick !== chosen().get('pick');
  board.pick = chosen().get('pick');
  const unfollowed = new Set(of.panels.map(panel => panel.view).filter(view => !board.followed.has(view)));
  await askPanels(fresh ? undefined : unfollowed);
  return true;
}
