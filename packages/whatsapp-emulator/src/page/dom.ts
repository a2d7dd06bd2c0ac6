type Child = Node | string | undefined

/** Attributes by their HTML names; `true` sets an empty attribute, `false` and `undefined` leave it out. */
export type Attributes = Record<string, string | boolean | undefined>

/** Builds an element. Strings become text nodes, never markup. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value)
  for (const child of children) if (child !== undefined) node.append(child)
  return node
}

/** Sets, changes or removes an attribute, and touches the document only when something differs. */
export function setAttribute(node: Element, name: string, value: string | boolean | undefined): void {
  if (value === undefined || value === false) {
    node.removeAttribute(name)
    return
  }
  const text = value === true ? '' : value
  if (node.getAttribute(name) !== text) node.setAttribute(name, text)
}

/** Changes an element's text only when it differs, so that selections and screen readers are left in peace. */
export function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text
}

interface ListParts<Item, Row extends HTMLElement> {
  key: (item: Item) => string
  create: (item: Item) => Row
  update: (row: Row, item: Item) => void
}

/** Keeps `parent`'s children in step with a list: rows are reused by key, so focus and half-typed input survive updates. */
export function keyedList<Item, Row extends HTMLElement>(
  parent: HTMLElement,
  { key, create, update }: ListParts<Item, Row>,
): (items: readonly Item[]) => void {
  let rows = new Map<string, Row>()
  return (items) => {
    const focused = document.activeElement
    const next = new Map<string, Row>()
    for (const item of items) {
      const id = key(item)
      const row = rows.get(id) ?? create(item)
      update(row, item)
      next.set(id, row)
    }
    for (const [id, row] of rows) if (!next.has(id)) row.remove()
    let position = parent.firstElementChild
    for (const row of next.values()) {
      if (row === position) position = position.nextElementSibling
      else parent.insertBefore(row, position)
    }
    rows = next
    // Moving a row in the document takes the focus away from what is inside it.
    if (focused instanceof HTMLElement && focused !== document.activeElement && parent.contains(focused)) {
      focused.focus({ preventScroll: true })
    }
  }
}
