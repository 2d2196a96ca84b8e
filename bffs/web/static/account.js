// Keeps what is the visitor's own on a page true to their session.
//
// Who comes by a link from another site comes without the session's cookie, and gets the page of somebody unknown; so it
// is completed here. And somebody may have logged in or out in another tab since this page was drawn.

const OURS = { "X-CSRF": "1" };

// what a form of the session that the page was drawn for has in it; "" for somebody unknown
const drawnFor = () => document.querySelector("#account input[name=csrf]")?.value ?? "";

async function isTrue() {
  const answer = await fetch("/session", { headers: OURS });
  if (!answer.ok) return true; // nobody knows just now
  const who = await answer.json();
  return (who.csrf ?? "") === drawnFor();
}

async function drawAgain() {
  const answer = await fetch(location.href, { headers: { ...OURS, Accept: "text/html" } });
  if (!answer.ok) {
    location.reload(); // what is on it may be somebody else's
    return;
  }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const place of document.querySelectorAll("[data-yours]")) {
    const now = fresh.getElementById(place.id);
    if (now) place.replaceWith(now);
  }
}

let looking = false;

async function look() {
  if (looking) return;
  looking = true;
  try {
    if (!(await isTrue())) await drawAgain();
  } catch (error) {
    console.info("the session could not be asked for", error); // offline, or the page is being left
  } finally {
    looking = false;
  }
}

addEventListener("pageshow", (event) => {
  const fromHere = document.referrer.startsWith(`${location.origin}/`);
  if (event.persisted || (!drawnFor() && !fromHere)) look();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") look();
});
