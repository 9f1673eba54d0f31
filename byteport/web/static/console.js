// Keeps a page fresh while something runs, shows times in the reader's zone, and remembers what was unfolded.
(() => {
  "use strict";
  const pad = (n) => String(n).padStart(2, "0");

  const localTimes = (root) => {
    const today = new Date().toDateString();
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
      time.textContent = at.toDateString() === today ? clock : `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${clock}`;
    }
  };

  const refresh = async (live) => {
    const url = new URL(location.href);
    url.searchParams.set("part", "1");
    const part = live.querySelector("[data-mark]");
    if (part) url.searchParams.set("seen", part.dataset.mark);
    const answer = await fetch(url, { credentials: "same-origin", redirect: "error" });
    if (answer.status !== 200) return;
    const open = new Set([...live.querySelectorAll("details[open][id]")].map((d) => d.id));
    const shut = new Set([...live.querySelectorAll("details[id]:not([open])")].map((d) => d.id));
    const typing = live.contains(document.activeElement) && document.activeElement.matches("input, select");
    if (typing || live.querySelector("details.pop[open]")) return;
    live.innerHTML = await answer.text();
    for (const details of live.querySelectorAll("details[id]")) {
      if (open.has(details.id)) details.open = true;
      else if (shut.has(details.id)) details.open = false;
    }
    localTimes(live);
  };

  const keepFresh = (live) => {
    let pause = 1000;
    const again = async () => {
      const rests = live.querySelector("[data-rests='yes']");
      try {
        if (!document.hidden) await refresh(live);
        pause = rests ? 5000 : 1000;
      } catch {
        pause = Math.min(pause * 2, 15000);
      }
      setTimeout(again, pause);
    };
    setTimeout(again, pause);
  };

  // A link from a chat comes without the strict cookie; asked from here, the browser sends it, and nobody logs in twice.
  const alreadyIn = async (form) => {
    const token = decodeURIComponent(location.hash.slice(1));
    if (token) {
      history.replaceState(null, "", location.pathname + location.search);
      form.elements.token.value = token;
      form.submit();
      return;
    }
    const wanted = form.elements.next.value;
    const answer = await fetch(wanted, { credentials: "same-origin", redirect: "manual" });
    if (answer.ok) location.replace(wanted);
  };

  localTimes(document);
  for (const live of document.querySelectorAll("[data-live]")) keepFresh(live);
  const login = document.querySelector("form[data-login]");
  if (login) alreadyIn(login).catch(() => undefined);
})();
