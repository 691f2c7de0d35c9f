// @ts-check
// Of the node that is chosen: its last rows, as the worker that serves this page has committed them since somebody looks,
// and its last dead letters. Both are data, so they have tokens of their own.
'use strict';

/** @typedef {{partition: number, commit: number, committed_at: string, time?: string, op?: string, row: Record<string, any>|null,
 *    bytes?: number}} Sampled */
/** @typedef {{node: string, step: string, worker: string, partitions: number[], since: string, hidden: string[],
 *    rows: Sampled[]}} Rows */

const ROWS_TOKEN = 'rows-token';
const LETTERS_EVERY_MS = 10000;
const recent = {
  node: '', // whose they are
  asked: 0, // for letters, by this machine's clock
  letters: '',
};

/** @param {any} value */
const cellText = value => (value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value));

/** @param {Sampled[]} rows */
function sampledTable(rows) {
  const columns = [...new Set(rows.flatMap(each => Object.keys(each.row ?? {})))];
  const changes = rows.some(each => each.op);
  const head = ['partition', 'committed (UTC)', ...(changes ? ['change'] : []), ...columns];
  const cells = rows.map(each => [each.partition, each.committed_at.replace('T', ' ').slice(0, 19), ...(changes ? [each.op] : []),
    ...(each.row ? columns.map(column => cellText(each.row?.[column])) : [`a row of ${bytes(each.bytes ?? 0)}`])]);
  return make('div', {class: 'scroll'}, make('table', {}, ...table(head, cells, new Set([0]))));
}

/** Which rows they are, said in words. @param {Rows} told @param {Status|null} status */
function whoseRows(told, status) {
  const stages = new Set(status?.nodes.filter(node => node.name === told.step).map(node => node.stage));
  const others = [...new Set(status?.places.filter(place => stages.has(place.stage) && place.worker !== told.worker).map(place => place.worker))];
  const own = told.partitions.length ? `partitions ${told.partitions.join(', ')} of worker ${told.worker}` : `worker ${told.worker}, which has none of its partitions`;
  return `Rows of ${told.step}, as committed since ${moment(Date.parse(told.since))}, newest first: ${own}.` +
    (others.length ? ` Other partitions are shown by ${others.join(', ')}.` : '') +
    (told.hidden.length ? ` Hidden, as there may be personal data: ${told.hidden.join(', ')}.` : '');
}

/** @param {string} node @param {number} status @param {any} told */
function showRows(node, status, told) {
  const locked = [401, 403].includes(status);
  if (locked && at('rows-form').dataset.node !== node) {
    at('rows-form').replaceChildren(askToken(ROWS_TOKEN, `token with the scope rows:${node} or worker:admin`, askRows));
  } else if (!locked) {
    at('rows-form').replaceChildren();
  }
  at('rows-form').dataset.node = locked ? node : '';
  at('recent-rows').replaceChildren(...(status !== 200 ? [make('p', {class: 'soft'}, told.error ?? 'The worker does not answer.')]
    : [make('p', {class: 'soft'}, whoseRows(told, state.status)),
       told.rows.length ? sampledTable(told.rows) : make('p', {class: 'soft'}, 'None has been committed since.')]));
}

/** By the token that replays, where the node has any. @param {string} node */
async function askLastLetters(node) {
  const has = state.status?.dead_letters.some(each => each.step === node);
  const token = sessionStorage.getItem(ADMIN_TOKEN);
  if (has && token && Date.now() - recent.asked > LETTERS_EVERY_MS) {
    recent.asked = Date.now();
    const answer = await fetch(`v1/nodes/${encodeURIComponent(node)}/dead-letters`, {headers: {Authorization: `Bearer ${token}`}});
    if (answer.status !== 429) recent.letters = (await answer.text()).trim();
  }
  const said = at('recent-letters');
  said.hidden = !has;
  said.textContent = recent.letters || 'Its dead letters are shown by a token with the scope worker:admin, which is asked for under “Dead letters” below.';
}

async function askRows() {
  const node = chosen().get('node') ?? '';
  const known = state.status?.nodes.some(each => each.name === node) ?? false;
  at('node-rows').hidden = !known;
  if (!known) return;
  if (recent.node !== node) Object.assign(recent, {node, asked: 0, letters: ''});
  try {
    const answer = await fetch(`v1/nodes/${encodeURIComponent(node)}/rows`, withToken(ROWS_TOKEN));
    showRows(node, answer.status, await answer.json());
    await askLastLetters(node);
  } catch (error) {
    showRows(node, 0, {});
  }
}
