
'use strict';
// Everything can be read without this: it only sorts and searches the tables, and names the field that is pointed at.
for (const table of document.querySelectorAll('table.sortable')) {
  for (const head of table.tHead.rows[0].querySelectorAll('th[data-sort]')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    button.addEventListener('click', () => sort(table, head));
    head.append(button);
  }
}

for (const box of document.querySelectorAll('.scroll')) {
  const sign = document.createElement('p');
  sign.className = 'sideways';
  sign.textContent = 'More columns to the right: scroll sideways →';
  box.before(sign);
  const look = () => { sign.hidden = box.scrollWidth <= box.clientWidth; };
  new ResizeObserver(look).observe(box);
  look();
}

function sort(table, head) {
  const up = head.hasAttribute('aria-sort') ? head.getAttribute('aria-sort') === 'descending' : head.dataset.sort === 'text';
  for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const order = new Intl.Collator('en', { numeric: true });
  const value = head.dataset.sort === 'number'
    ? row => Number(row.cells[head.cellIndex].dataset.value)
    : row => row.cells[head.cellIndex].textContent.trim();
  const rows = Array.from(table.tBodies[0].rows, row => [value(row), row]);
  rows.sort(([one], [other]) => (typeof one === 'number' ? one - other : order.compare(one, other)) * (up ? 1 : -1));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

for (const input of document.querySelectorAll('input[type=search]')) {
  const rows = Array.from(document.getElementById(input.dataset.table).tBodies[0].rows, row => [row, text(row)]);
  const count = document.querySelector(`[data-count="${input.dataset.table}"]`);
  input.closest('.search').hidden = false;
  input.addEventListener('input', () => {
    const words = input.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const [row, content] of rows) {
      row.hidden = !words.every(word => content.includes(word));
      shown += !row.hidden;
    }
    count.textContent = input.value ? `${shown} of ${rows.length}` : '';
  });
}

function text(row) {
  const digests = Array.from(row.querySelectorAll('[title]'), each => each.title);
  return [row.textContent, ...digests].join(' ').toLowerCase();
}

const readout = document.getElementById('readout');
for (const map of document.querySelectorAll('.treemap')) {
  for (const event of ['pointerover', 'click']) {
    map.addEventListener(event, ({ target }) => {
      if (!target.matches('.cell')) return;
      for (const other of document.querySelectorAll('.chosen')) other.classList.remove('chosen');
      target.classList.add('chosen');
      readout.textContent = target.querySelector('title').textContent;
    });
  }
}
