// Keeps the page current: fetches it again and puts the new <main> in place of the old one, with what was unfolded left unfolded.
// Nothing is evaluated: scripts within a parsed document do not run, and the page's policy allows none but this file.
"use strict";
(() => {
  const every = 5000;
  const note = document.getElementById("sight");
  const open = (root) => new Set([...root.querySelectorAll("details[open][id]")].map((d) => d.id));
  const busy = () => document.hidden || String(getSelection()).length > 0;
  async function refresh() {
    if (busy()) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(every) });
      if (!answer.ok) throw new Error(`answered ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const main = fresh.querySelector("main"), old = document.querySelector("main");
      if (!main || !old || busy()) return;
      const unfolded = open(old);
      main.querySelectorAll("details[id]").forEach((d) => { d.open = unfolded.has(d.id) || d.open; });
      old.replaceWith(document.adoptNode(main));
      const head = fresh.getElementById("mode");
      if (head) document.getElementById("mode")?.replaceWith(document.adoptNode(head));
      note.textContent = "";
      document.title = fresh.title;
    } catch (error) {
      note.textContent = `no answer from aiops (${error.message}); what you see may be old`;
    }
  }
  setInterval(refresh, every);
})();
