"use strict";
// Shows one pair after the other and sends what is said of each. A judgement carries its pair and revision, so that
// sending it again changes nothing.
(async () => {
  const at = (id) => document.getElementById(id);
  const SIDES = { left: "A", right: "B" };
  const answer = await fetch("session");
  const { pairs, judged, fix_minutes } = await answer.json();
  const unjudged = pairs.findIndex((pair) => !judged[pair.id]);
  let index = unjudged < 0 ? pairs.length : unjudged;
  let said, before, sending = false, looked_ms = 0, lookingSince = null;

  const choices = [{ verdict: "accept", minutes: 0 }, ...fix_minutes.map((minutes) => ({ verdict: "fix", minutes }))];
  const worded = ({ verdict, minutes }) => verdict === "accept" ? "accept as it is" : `fix, ${minutes} min`;
  const digit = (side, number) => String((side === "left" ? number + 1 : number + 6) % 10);
  for (const group of document.querySelectorAll(".choices[data-side]")) {
    const side = group.dataset.side;
    choices.forEach((choice, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = choice.verdict;
      const last = number === choices.length - 1;
      button.innerHTML = "<span></span><kbd></kbd>";
      button.firstChild.textContent = choice.verdict === "accept" ? "Accept" : `${choice.minutes} min${last ? "+" : ""}`;
      button.lastChild.textContent = digit(side, number);
      button.setAttribute("aria-label", `Picture ${SIDES[side]}: ${worded(choice)}${last ? " or more" : ""}`);
      button.addEventListener("click", () => judge(side, choice));
      group.append(button);
    });
  }

  const same = (one, other) => one && other && one.verdict === other.verdict && one.minutes === other.minutes;
  const bothJudged = () => Boolean(said.left && said.right);
  const tell = (text) => { at("news").textContent = text; };

  function draw() {
    for (const group of document.querySelectorAll(".choices[data-side]"))
      [...group.children].forEach((button, number) =>
        button.setAttribute("aria-pressed", Boolean(same(said[group.dataset.side], choices[number]))));
    for (const button of at("preference").children)
      button.setAttribute("aria-pressed", said.prefer === button.dataset.prefer);
    for (const button of [at("save"), ...at("preference").children]) button.setAttribute("aria-disabled", !bothJudged());
  }

  function open(to) {
    index = to;
    const over = index >= pairs.length;
    at("work").hidden = over;
    at("done").hidden = !over;
    at("progress").max = pairs.length;
    at("progress").value = Object.keys(judged).length;
    at("place").textContent = over ? `${pairs.length} of ${pairs.length}` : `Pair ${index + 1} of ${pairs.length}`;
    at("asset").textContent = over ? "" : pairs[index].asset;
    if (over) { at("done").focus(); tell("All pairs are judged."); return; }
    const pair = pairs[index];
    before = judged[pair.id];
    said = before ? { left: before.left, right: before.right, prefer: before.prefer } : { left: null, right: null, prefer: null };
    at("prompt").textContent = pair.prompt;
    for (const button of document.querySelectorAll(".picture"))
      button.firstChild.src = `picture/${pair.id}/${button.dataset.side}`;
    at("back").disabled = index === 0;
    looked_ms = 0;
    lookingSince = document.hidden ? null : performance.now();
    zoom(false);
    draw();
    const next = pairs[index + 1];
    if (next) for (const side in SIDES) new Image().src = `picture/${next.id}/${side}`;
  }

  function judge(side, choice) {
    if (sending) return;
    said[side] = choice;
    tell(`Picture ${SIDES[side]}: ${worded(choice)}.`);
    draw();
  }

  // Only then: a second press of the key that went on to this pair must not say anything of it.
  function prefer(which) {
    if (sending) return;
    if (!bothJudged()) return tell("Judge both pictures first.");
    said.prefer = said.prefer === which ? null : which;
    draw();
    if (said.prefer && !before) save();
  }

  async function save() {
    if (sending || index >= pairs.length || !bothJudged()) return;
    const pair = pairs[index];
    if (before && same(before.left, said.left) && same(before.right, said.right) && before.prefer === said.prefer) return open(index + 1);
    sending = true;
    pause();
    const judgement = { pair: pair.id, revision: before ? before.revision + 1 : 0, ...said, looked_s: looked_ms / 1000 };
    try {
      const answer = await fetch("judgements", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(judgement) });
      if (!answer.ok) throw new Error(await answer.text());
      judged[pair.id] = { revision: judgement.revision, ...said };
      at("problem").hidden = true;
      const following = before ? index + 1 : pairs.findIndex((each) => !judged[each.id]);
      open(following < 0 ? pairs.length : following);
      if (index < pairs.length) tell(`Saved. Pair ${index + 1} of ${pairs.length}: ${pairs[index].prompt}`);
    } catch (error) {
      at("problem").textContent = `Not saved: ${error.message}. Is the command still running? Press Enter to try again.`;
      at("problem").hidden = false;
    } finally { sending = false; }
  }

  function pause() {
    if (lookingSince !== null) looked_ms += performance.now() - lookingSince;
    lookingSince = null;
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden) pause(); else lookingSince = performance.now(); });

  function zoom(on) {
    document.body.classList.toggle("actual", on);
    at("zoom").setAttribute("aria-pressed", on);
    for (const button of document.querySelectorAll(".picture")) button.setAttribute("aria-pressed", on);
  }
  const GROUNDS = ["plain", "checks", "light", "dark"];
  const nextGround = () => {
    document.body.dataset.ground = GROUNDS[(GROUNDS.indexOf(document.body.dataset.ground) + 1) % GROUNDS.length];
    tell(`Background: ${document.body.dataset.ground}.`);
  };
  const toggleZoom = () => zoom(!document.body.classList.contains("actual"));
  const back = () => { if (index > 0 && !sending) open(index - 1); };

  const KEYS = { ArrowLeft: () => prefer("left"), ArrowDown: () => prefer("neither"), ArrowRight: () => prefer("right"),
    Enter: save, Backspace: back, KeyZ: toggleZoom, KeyG: nextGround };
  document.addEventListener("keydown", (event) => {
    if (document.body.classList.contains("silent") || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const over = index >= pairs.length;
    if (event.key === "Enter" && event.target.closest("button, a")) return;  // it presses what has the focus
    const number = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
    const action = number ? () => { const place = (Number(number[1]) + 9) % 10; judge(place < 5 ? "left" : "right", choices[place % 5]); } : KEYS[event.code] ?? KEYS[event.key];
    if (!action || (over && action !== back)) return;
    event.preventDefault();
    action();
  });

  for (const button of document.querySelectorAll(".picture")) button.addEventListener("click", toggleZoom);
  for (const button of at("preference").children) button.addEventListener("click", () => prefer(button.dataset.prefer));
  at("save").addEventListener("click", save);
  at("back").addEventListener("click", back);
  at("reopen").addEventListener("click", back);
  at("zoom").addEventListener("click", toggleZoom);
  at("ground").addEventListener("click", nextGround);
  at("keys").addEventListener("click", () => {
    const on = document.body.classList.toggle("silent") === false;
    at("keys").setAttribute("aria-pressed", on);
    try { localStorage.setItem("silent", on ? "" : "1"); } catch { /* a browser without storage forgets the choice */ }
  });
  try { if (localStorage.getItem("silent")) at("keys").click(); } catch { /* as above */ }
  open(index);
})();
