// What people look at, and how often: of twenty looks ten are at what is due, four at the list, three at one medicine, two at what
// runs low, one at the history. The page of what is due is the one that a phone opens with.

import { read } from "./api.js";

const LOOKS = [
  [10, (operation) => read(operation, "/medicines/pending")],
  [4, (operation) => read(operation, "/medicines?limit=50", "/medicines")],
  [3, (operation, home) => one(operation, home)],
  [2, (operation) => read(operation, "/medicines/low-stock")],
  [1, (operation) => read(operation, "/history?limit=50", "/history")],
];
const ALL = LOOKS.reduce((sum, [weight]) => sum + weight, 0);

export function look(operation, home) {
  let left = Math.random() * ALL;
  for (const [weight, ask] of LOOKS) {
    left -= weight;
    if (left < 0) {
      return ask(operation, home);
    }
  }
  return read(operation, "/medicines/pending");
}

function one(operation, home) {
  if (home.medicines.length === 0) {
    return read(operation, "/medicines/pending");
  }
  const id = home.medicines[Math.floor(Math.random() * home.medicines.length)];
  return read(operation, `/medicines/${id}`, "/medicines/{id}");
}
