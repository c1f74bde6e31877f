// Tables that sort and filter: the studies' and the catalogue.
import DataTable from "datatables.net";
import { short } from "./numbers.js";

/** A column with at most this many different words gets a choice of them. */
const FEW = 12;

const LANGUAGE = {
  search: "Search",
  lengthMenu: "_MENU_ rows a page",
  info: "_START_ to _END_ of _TOTAL_ rows",
  infoEmpty: "no rows",
  infoFiltered: "(of _MAX_)",
  zeroRecords: "No row has that.",
};

const escaped = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/** How a cell is shown, and what it is sorted by. */
export function cell(value, type) {
  if (type !== "display") return Number.isNaN(value) ? -Infinity : value; // what is not there, at one end
  return typeof value === "number"
    ? `<span title="${value}">${short(value)}</span>`
    : escaped(value).replace(/([^\s]{28})(?=[^\s])/g, "$1<wbr>");
}

/** Make a table of columns [{title, ...}] and rows of cells, with a search and a choice for columns of few words. */
export function makeTable(element, columns, rows, options = {}) {
  const { choices = columns.map((_, i) => i), ...rest } = options;
  const table = new DataTable(element, {
    data: rows,
    columns: columns.map((column) => ({ render: cell, className: "", ...column })),
    order: [],
    autoWidth: false,
    pageLength: 25,
    lengthMenu: [10, 25, 100, { label: "all", value: -1 }],
    paging: rows.length > 25,
    info: rows.length > 25,
    language: LANGUAGE,
    layout: {
      topStart: "search",
      topEnd: null,
      bottomStart: rows.length > 25 ? "info" : null,
      bottomEnd: rows.length > 25 ? ["pageLength", "paging"] : null,
    },
    ...rest,
  });
  // A wide table scrolls by itself, by the keyboard too; what searches it stays.
  const scroller = element.closest(".dt-layout-row");
  Object.entries({ tabindex: "0", role: "region", "aria-label": element.dataset.label }).forEach((each) =>
    scroller.setAttribute(...each),
  );
  const pages = table.table().container().querySelector("nav");
  pages?.setAttribute("aria-label", `Pages of: ${element.dataset.label}`);
  addChoices(table, columns, rows, choices);
  return table;
}

function addChoices(table, columns, rows, choices) {
  const place = document.createElement("div");
  place.className = "choices";
  for (const i of choices) {
    const words = [...new Set(rows.map((row) => row[i]))];
    const brief = words.every((word) => String(word).length <= 40);
    const few = words.length > 1 && words.length <= FEW && words.length < rows.length / 2 && brief;
    if (!few || place.children.length === 4) continue;
    const label = document.createElement("label");
    label.textContent = `${columns[i].title} `;
    const select = document.createElement("select");
    select.append(new Option("all", ""), ...words.map((word, at) => new Option(short(word), String(at + 1))));
    select.addEventListener("change", () => {
      const wanted = select.value && words[Number(select.value) - 1];
      const chosen = select.value !== "";
      table.search.fixed(`column ${i}`, chosen ? (_, __, index) => rows[index][i] === wanted : null).draw();
    });
    label.append(select);
    place.append(label);
  }
  if (place.children.length) table.table().container().querySelector(".dt-layout-row").append(place);
}

/** The tables of the studies, each made when its part is opened. */
export function startTables(tables) {
  for (const part of document.querySelectorAll("details[data-table]")) {
    part.addEventListener(
      "toggle",
      () => {
        const { columns, rows } = tables[part.dataset.table];
        const titles = columns.map((title) => ({ title: escaped(title || "–") }));
        makeTable(part.querySelector("table"), titles, rows);
      },
      { once: true },
    );
  }
}

/** A name that may go to a second line after its marks. */
const breakable = (name) => escaped(name).replace(/([:@*,_-])/g, "$1<wbr>");

const yes = (value, type) => (type === "display" ? (value ? "yes" : "no") : value ? "yes" : "no");

/** The catalogue of the rules. */
export function startCatalogue(element, rules) {
  const source = (_, type, row) =>
    type === "display" && row[7]
      ? `<a href="${escaped(row[7])}">${escaped(row[6])}</a>`
      : type === "display"
        ? escaped(row[6])
        : row[6];
  makeTable(
    element,
    [
      { title: "rule", render: (v, type) => (type === "display" ? `<code>${breakable(v)}</code>` : v) },
      { title: "advantage", className: "wide" },
      { title: "objective", render: (v, type) => (type === "display" ? breakable(v) : v) },
      { title: "unbiased", render: yes },
      { title: "centered", render: yes },
      { title: "sees" },
      { title: "source", render: source, className: "wide" },
    ],
    rules.map((rule) => [
      rule.name,
      rule.equation,
      rule.objective,
      rule.unbiased,
      rule.centered,
      rule.kind,
      rule.citation,
      rule.paper,
    ]),
    { choices: [2, 3, 4, 5] },
  );
}
