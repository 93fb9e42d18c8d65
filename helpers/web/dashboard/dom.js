// Changes to the page, made only where something is different. Text goes in as text, never as HTML.

export const setText = (node, value) => {
  if (node.textContent !== value) node.textContent = value;
};

export const setAttribute = (node, name, value) => {
  if (value === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== value) {
    node.setAttribute(name, value);
  }
};

export const setTone = (node, tone) => setAttribute(node, "data-tone", tone || null);

export const setHidden = (node, hidden) => {
  if (node.hidden !== hidden) node.hidden = hidden;
};

// A custom property, which the policy of the page allows where a style attribute is not.
export const setVariable = (node, name, value) => {
  if (node.style.getPropertyValue(name) !== value) node.style.setProperty(name, value);
};

export const element = (tag, className = "", content = "") => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (content) node.textContent = content;
  return node;
};

// The named parts of a piece of the page: {name: node} of every data-part below it.
export const partsOf = (root) => {
  const parts = {};
  for (const node of root.querySelectorAll("[data-part]")) parts[node.dataset.part] = node;
  return parts;
};

// A list whose nodes stay as long as their key does: no row is built anew to change a number.
export class KeyedList {
  constructor(place, { create, update, limit, empty = null }) {
    Object.assign(this, { place, create, update, limit, empty });
    this.items = new Map();
  }

  // `pairs` are [key, value] in the order to be shown; what is above the limit is left out.
  show(pairs) {
    const shown = pairs.slice(0, this.limit);
    const keys = new Set(shown.map(([key]) => key));
    for (const [key, item] of this.items) {
      if (keys.has(key)) continue;
      item.node.remove();
      this.items.delete(key);
    }
    let next = this.place.firstElementChild;
    for (const [key, value] of shown) {
      let item = this.items.get(key);
      if (!item) {
        item = this.create(value);
        this.items.set(key, item);
      }
      this.update(item, value);
      if (item.node === next) next = next.nextElementSibling;
      else this.place.insertBefore(item.node, next);
    }
    if (this.empty) setHidden(this.empty, shown.length > 0);
    return pairs.length - shown.length;
  }
}

// Rows of a table: `columns` are [class, write(cell, value)].
export const tableRows = (body, columns, limit, empty) =>
  new KeyedList(body, {
    limit,
    empty,
    create: () => {
      const node = element("tr");
      const cells = columns.map(([className], at) => {
        const cell = element(at === 0 ? "th" : "td", className);
        if (at === 0) cell.scope = "row";
        node.append(cell);
        return cell;
      });
      return { node, cells };
    },
    update: ({ cells }, value) => columns.forEach(([, write], at) => write(cells[at], value)),
  });
