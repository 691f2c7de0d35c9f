// @ts-check
// Rows of a view as a table, as bars of a list and as lines over time: of the page's views and of dashboards.
'use strict';

const MOST_LINES = 6;

/** @param {any} value */
const text = value => (value == null ? '' : typeof value === 'object' ? JSON.stringify(value)
  : typeof value === 'number' ? value.toLocaleString('en-US', {maximumFractionDigits: 6, useGrouping: Math.abs(value) < 1e9}) : String(value));

/** @param {any[]} rows @param {string[]} [columns] */
function rowTable(rows, columns = Object.keys(rows[0])) {
  const numbers = new Set(columns.map((_, i) => i).filter(i => typeof rows[0][columns[i]] === 'number'));
  return make('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'rows'},
              make('table', {}, ...table(columns, rows.map(row => columns.map(column => text(row[column]))), numbers)));
}

/** @param {any[]} rows @param {string} x @param {string} y */
function bars(rows, x, y) {
  const most = Math.max(...rows.map(row => Number(row[y]) || 0), 1e-9);
  return make('div', {class: 'bars'}, rows.flatMap(row => {
    const bar = make('span', {class: 'bar', 'aria-hidden': 'true'});
    bar.style.width = `${Math.max(0, (Number(row[y]) || 0) / most) * 100}%`;
    return [make('span', {class: 'label', title: text(row[x])}, text(row[x])), bar, make('span', {class: 'number'}, text(row[y]))];
  }));
}

/** Where a value lies on an axis; browsers take `item 3` for a date as well. @param {any} value */
const place = value => (typeof value === 'number' ? value : /^[+-]?\d{4,6}-\d\d/.test(value) ? Date.parse(value) : NaN);

/** What one line is drawn of, by the value of `by`; without `by` all rows are one. @param {any[]} rows @param {string} by */
function linesOf(rows, by) {
  /** @type {Map<string, any[]>} */
  const lines = new Map();
  for (const row of rows) {
    const name = by ? text(row[by]) : '';
    if (!lines.has(name)) lines.set(name, []);
    lines.get(name)?.push(row);
  }
  return [...lines].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Values over time, or over a number; else over the rows' order. A row without a number is left out.
 * @param {any[]} all @param {string} x @param {string} y @param {string} [by] */
function line(all, x, y, by = '') {
  const rows = all.filter(row => typeof row[y] === 'number');
  if (rows.length === 0) return make('p', {class: 'soft'}, `No row has a number as ${y}.`);
  const inOrder = rows.some(row => Number.isNaN(place(row[x])));
  const at = (/** @type {any} */ row) => (inOrder ? rows.indexOf(row) : place(row[x]));
  const sorted = [...rows].sort((a, b) => at(a) - at(b));
  const [first, last] = [sorted[0], sorted[sorted.length - 1]];
  const values = rows.map(row => row[y]);
  const low = Math.min(0, ...values), high = Math.max(...values, low + 1e-9);
  const spot = (/** @type {any} */ row) => `${(((at(row) - at(first)) / Math.max(1e-9, at(last) - at(first))) * 100).toFixed(2)},` +
    `${(96 - ((row[y] - low) / (high - low)) * 92).toFixed(2)}`;
  const lines = linesOf(sorted, by);
  const shown = lines.slice(0, MOST_LINES);
  const drawn = shown.map(([, of], i) => draw('polyline', {class: `line-${i}`, points: [of[0], ...of].map(spot).join(' ')}));
  const now = shown.map(([name, of]) => `${name ? `${name} ` : ''}${text(of[of.length - 1][y])}`).join(', ');
  const legend = shown.map(([name, of], i) => make('span', {}, draw('svg', {class: 'swatch', viewBox: '0 0 24 8', 'aria-hidden': 'true'},
    draw('polyline', {class: `line-${i}`, points: '1,4 23,4'})), ` ${name}: ${text(of[of.length - 1][y])}`));
  return make('figure', {},
    make('div', {class: 'axis'}, make('span', {}, text(high)), make('span', {}, y)),
    draw('svg', {class: 'line', viewBox: '0 0 100 100', preserveAspectRatio: 'none', role: 'img',
                 'aria-label': `${y} over ${x}, from ${text(low)} to ${text(high)}; last: ${now}`}, ...drawn),
    make('div', {class: 'axis'}, make('span', {}, inOrder ? '' : text(first[x])), make('span', {}, text(low)), make('span', {}, inOrder ? '' : text(last[x]))),
    by ? make('figcaption', {class: 'legend soft'}, ...legend,
              lines.length > shown.length ? make('span', {}, `and ${lines.length - shown.length} more that aren't drawn`) : null) : null);
}
