// The grid of a review: pages of rows by message, drawn as they scroll into view; one tab stop, arrows, editing.
const HIGH = 46 // of a row, in pixels
const SIGNS = {bad: '✕', warn: '!', good: '✎', calm: '–'}

components['review-grid'] = (e, spec, ask) => {
  const grid = e.tkGrid || (e.tkGrid = reviewGrid(e, ask))
  grid.update(spec.is)
}

function reviewGrid(e, ask) {
  const head = make('tr', {'aria-rowindex': 1}), body = make('tbody'), above = make('tbody', {'aria-hidden': true}), below = make('tbody', {'aria-hidden': true})
  const table = make('table', {role: 'grid', 'aria-label': 'Rows to review; Enter edits a cell, Delete leaves the row out'}, make('thead', {}, head), above, body, below)
  const box = make('div', {class: 'wrap'}, table), why = make('span', {class: 's', id: ask.id('why-row')}), links = make('span')
  let columns = [], n = 0, version = '', size = 200, at = 0, column = 0, pages = {}, wanted = new Set(), had = false, input = null
  e.replaceChildren(box, make('p', {class: 'row why-row'}, why, links))

  const row = i => (pages[Math.floor(i / size)] || [])[i % size]
  const width = () => columns.length + 2

  async function load(page) {
    const key = `${version}.${page}`
    if (wanted.has(key)) return
    wanted.add(key)
    const {answer} = await ask({do: 'page', at: page * size})
    wanted.delete(key)
    if (!answer || String(answer.version) !== version) return
    if (pages.version !== version) pages = {version} // until here, the rows as they were stay in place
    pages[page] = answer.rows
    draw()
  }

  function cellOf(i, c, r) {
    const is = {role: c ? 'gridcell' : 'rowheader', 'aria-colindex': c + 1, tabindex: i === at && c === column ? 0 : -1}
    const [number, state, tone, texts, marks] = r
    if (c === 0) return make('th', {...is, class: 'r', scope: 'row'}, String(number))
    if (c === 1) return make('td', {...is, class: tone, title: state}, make('div', {}, make('span', {class: 'sy ' + tone, 'aria-hidden': true}, SIGNS[tone] || ''), ' ', state))
    const [colour, reason] = marks[c - 2] || [], text = texts[c - 2]
    const td = make('td', {...is, class: colour ? 'mark ' + colour : '', title: reason ? `${text} — ${reason}` : text},
      text || make('span', {class: 'nil'}, 'empty'))
    if (reason) td.append(make('em', {class: 'why'}, `${SIGNS[colour]} ${reason}`))
    return td
  }

  function draw() {
    if (input) return
    const rest = Math.ceil(box.clientHeight / HIGH) + 8
    const first = Math.max(0, Math.min(n - 1, Math.floor(box.scrollTop / HIGH) - 4)), last = Math.min(n, first + rest)
    for (let p = Math.floor(first / size); p <= Math.floor(Math.max(first, last - 1) / size); p++)
      if (n && (pages.version !== version || !row(Math.min(last, (p + 1) * size) - 1))) load(p)
    const rows = []
    for (let i = first; i < last; i++) {
      const r = row(i)
      rows.push(make('tr', {'aria-rowindex': i + 2, class: r ? `edge ${r[2]}${r[1] === 'left out' ? ' out' : ''}` : '', style: `height:${HIGH}px`},
        ...(r ? Array.from({length: width()}, (_, c) => cellOf(i, c, r)) : [make('td', {role: 'gridcell', colspan: width(), class: 'soft'}, '…')])))
    }
    const focused = had || box.contains(document.activeElement)
    body.replaceChildren(...rows)
    for (const [space, high] of [[above, first], [below, n - last]])
      space.replaceChildren(...(high > 0 ? [make('tr', {style: `height:${high * HIGH}px`}, make('td', {colspan: width()}))] : []))
    const now = active()
    box.tabIndex = now ? -1 : 0 // the cell that has the focus may be out of view
    if (focused) (now || box).focus({preventScroll: true})
    tell()
  }

  function active() { return body.querySelector('[tabindex="0"]') }

  function tell() {
    const r = row(at), [, reason] = r && r[4][column - 2] || []
    links.replaceChildren(...(r ? r[7] : []).map(([words, action]) => Object.assign(make('button', {type: 'button'}, words), {onclick: () => ask(action)})))
    why.textContent = r ? [`Row ${r[0]}: ${r[1]}`, reason && !r[1].includes(reason) ? reason : '', r[5] ? `As it stands in the file: ${r[5]}` : ''].filter(Boolean).join(' · ') : ''
    const now = active()
    if (now) now.setAttribute('aria-describedby', why.id)
  }

  function move(i, c, focus = true) {
    at = Math.max(0, Math.min(n - 1, i))
    column = Math.max(0, Math.min(width() - 1, c))
    const top = at * HIGH, bottom = top + HIGH, seen = box.clientHeight - head.offsetHeight - 16
    if (top < box.scrollTop) box.scrollTop = top
    if (bottom > box.scrollTop + seen) box.scrollTop = bottom - seen
    const was = active(), there = body.querySelector(`[aria-rowindex="${at + 2}"] > [aria-colindex="${column + 1}"]`)
    if (there) { // the rows stay, for a second click may follow
      if (was) was.tabIndex = -1
      there.tabIndex = 0
      box.tabIndex = -1
      if (focus) there.focus({preventScroll: true})
      tell()
    } else {
      had = focus
      draw()
      had = false
    }
    const now = active()
    if (now) now.scrollIntoView({block: 'nearest', inline: 'nearest'})
  }

  function edit() {
    const r = row(at), td = active()
    if (!r || !td || column < 2) return
    const [name, label, values] = columns[column - 2], was = r[6][column - 2] ?? r[3][column - 2]
    const list = make('datalist', {id: ask.id('review-values')}, ...values.map(value => make('option', {value})))
    input = make('input', {'aria-label': `${label}, row ${r[0]}`, list: values.length ? list.id : '', autocomplete: 'off', spellcheck: 'false'})
    input.value = was
    td.replaceChildren(input, list)
    const own = input
    const done = keep => {
      if (input !== own) return
      const value = own.value
      input = null
      had = box.contains(document.activeElement)
      if (keep && value !== was) ask({do: 'edit', row: r[0], column: name, value})
      draw()
      had = false
    }
    own.onkeydown = event => {
      event.stopPropagation()
      if (event.key === 'Enter' || event.key === 'Escape') { event.preventDefault(); done(event.key === 'Enter') }
    }
    own.onblur = () => done(true)
    own.focus()
    own.select()
  }

  const page = () => Math.max(1, Math.floor(box.clientHeight / HIGH) - 2)
  const keys = {
    ArrowDown: () => move(at + 1, column), ArrowUp: () => move(at - 1, column), ArrowRight: () => move(at, column + 1), ArrowLeft: () => move(at, column - 1),
    PageDown: () => move(at + page(), column), PageUp: () => move(at - page(), column),
    Home: event => move(event.ctrlKey ? 0 : at, 0), End: event => move(event.ctrlKey ? n - 1 : at, width() - 1),
    Enter: edit, F2: edit, Delete: () => row(at) && ask({do: 'leave_out', row: row(at)[0]}),
  }
  box.addEventListener('keydown', event => {
    const act = (event.ctrlKey || event.metaKey) && event.key === 'z' ? () => ask({do: 'undo'}) : keys[event.key]
    if (!act || input) return
    event.preventDefault()
    event.stopPropagation()
    if (event.key !== 'Tab') act(event)
  })
  const place = event => {
    const td = event.target.closest('td,th'), tr = td && td.parentNode
    if (!tr || tr.parentNode !== body || input) return false
    move(tr.getAttribute('aria-rowindex') - 2, td.getAttribute('aria-colindex') - 1)
    return true
  }
  // The button went down on a cell: rows that come in before it is up take the cell away, and a click or its target.
  let hit = false
  box.addEventListener('mousedown', event => { hit = place(event) })
  box.addEventListener('dblclick', () => { if (hit && !input) edit() })
  new ResizeObserver(() => draw()).observe(box) // it has no height before it is on the page
  let later = 0
  box.addEventListener('scroll', () => { cancelAnimationFrame(later); later = requestAnimationFrame(draw) })

  function update(is) {
    const goto = Number(is['data-goto'])
    if (is['data-columns'] !== e.tkColumns) {
      e.tkColumns = is['data-columns']
      columns = JSON.parse(e.tkColumns)
      const heads = ['Row', 'State', ...columns.map(c => c[1])]
      head.replaceChildren(...heads.map((name, c) => make('th', {scope: 'col', 'aria-colindex': c + 1, class: c ? '' : 'r'}, name,
        ...(c > 1 && columns[c - 2][0] !== name ? [make('small', {}, columns[c - 2][0])] : []))))
      table.setAttribute('aria-colcount', heads.length)
      table.style.minWidth = `${254 + 140 * (heads.length - 2)}px`
    }
    if (String(is['data-version']) === version && goto < 0) return
    const fewer = Number(is['data-n']) !== n
    version = String(is['data-version'])
    n = Number(is['data-n'])
    size = Number(is['data-page'])
    table.setAttribute('aria-rowcount', n + 1)
    at = Math.min(at, Math.max(0, n - 1))
    if (fewer && goto < 0 && !box.contains(document.activeElement)) { at = 0; box.scrollTop = 0 }
    if (!box.scrollTop) pages = {version, 0: JSON.parse(is['data-rows'])} // what is seen at the top came with the view
    draw() // there is room for the row only then
    if (goto >= 0) move(goto, column)
  }
  return {update}
}
