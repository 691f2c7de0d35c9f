// @ts-check
// Dead letters of the page: by reason, and back to their sources, by a token with the scope worker:admin. What would be
// replayed is said first, and only that can be replayed then.
'use strict';

const ADMIN_TOKEN = 'admin-token';
const letters = {
  asking: false,
  /** @type {string|null} */ tried: null, // the condition that was last said what would become of
};

/** @param {string} command @param {Record<string, string>} question */
async function askLetters(command, question) {
  if (letters.asking) return;
  letters.asking = true;
  const said = at('letter-said');
  said.hidden = false;
  said.textContent = 'Asking …';
  letters.tried = null;
  try {
    const token = sessionStorage.getItem(ADMIN_TOKEN);
    const answer = await fetch(`v1/dead-letters/${command}?${new URLSearchParams(question)}`,
                               {method: 'POST', headers: token ? {Authorization: `Bearer ${token}`} : {}});
    said.textContent = (await answer.text()).trim();
    if (answer.ok && question.dry_run === 'true') letters.tried = question.where;
    if ([401, 403].includes(answer.status)) sessionStorage.removeItem(ADMIN_TOKEN);
  } catch (error) {
    said.textContent = 'The worker does not answer.';
  }
  letters.asking = false;
  showLetterForm();
}

/** The form as it must be now: a token is asked for, or what is to be done. */
function showLetterForm() {
  const form = at('letter-form');
  const key = sessionStorage.getItem(ADMIN_TOKEN) ? 'form' : 'token';
  if (form.dataset.key !== key) {
    form.dataset.key = key;
    form.replaceChildren(key === 'token' ? askToken(ADMIN_TOKEN, 'token with the scope worker:admin', showLetterForm) : letterForm());
  }
  const replay = /** @type {HTMLButtonElement|null} */ (document.getElementById('letter-replay'));
  const where = /** @type {HTMLInputElement|null} */ (document.getElementById('letter-where'));
  if (replay && where) replay.disabled = letters.tried !== where.value.trim();
}

function letterForm() {
  const where = /** @type {HTMLInputElement} */ (make('input', {id: 'letter-where', class: 'wide', 'aria-label': 'condition',
    placeholder: "step = 'surveys' and reason like '%score%'", oninput: showLetterForm}));
  const ask = (/** @type {string} */ command, /** @type {Record<string, string>} */ more) => () => askLetters(command, {where: where.value.trim(), ...more});
  return make('form', {onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); ask('list', {})(); }}, where,
    make('button', {}, 'List'),
    make('button', {type: 'button', onclick: ask('show', {limit: '10'})}, 'Show ten'),
    make('button', {type: 'button', onclick: ask('replay', {dry_run: 'true'})}, 'What would be replayed?'),
    make('button', {type: 'button', id: 'letter-replay', disabled: true, onclick: ask('replay', {dry_run: 'false'})}, 'Replay'));
}
