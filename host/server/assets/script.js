// What pages do besides: none of them needs it.
"use strict";
(() => {
    const OURS = { "x-turnbuckle-script": "1" };
    const parse = (text) => new DOMParser().parseFromString(text, "text/html");

    // `/` goes to the search.
    document.addEventListener("keydown", (event) => {
        if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.target.closest("input, textarea, select, dialog")) return;
        const find = document.querySelector(".find input");
        if (find) { event.preventDefault(); find.focus(); find.select(); }
    });

    // Secrets are shown while the person wants to see them.
    const reveal = (root) => {
        for (const input of root.querySelectorAll("[data-secret]")) {
            const button = input.parentElement.querySelector("button");
            if (!button) continue;
            button.hidden = false;
            button.addEventListener("click", () => {
                const shown = input.type === "password";
                input.type = shown ? "text" : "password";
                button.textContent = shown ? "Hide" : "Show";
                button.setAttribute("aria-pressed", String(shown));
                button.setAttribute("aria-label", `${shown ? "Hide" : "Show"} ${input.dataset.secret}`);
            });
        }
    };

    // A form that says what it is busy with, and is sent once.
    const busy = (form, button) => {
        if (!button) return () => {};
        const words = button.textContent;
        const said = button.dataset.busy || form.dataset.busy;
        if (said) button.textContent = said;
        button.setAttribute("aria-busy", "true");
        form.dataset.sent = "1";
        return () => {
            button.textContent = words;
            button.removeAttribute("aria-busy");
            delete form.dataset.sent;
        };
    };

    document.addEventListener("submit", (event) => {
        const form = event.target;
        if (form.dataset.sent) { event.preventDefault(); return; }
        if (form.getAttribute("method") !== "post") return;
        const over = busy(form, event.submitter || form.querySelector("button:not([type=button])"));
        if (!form.matches("[data-keep]")) {
            // A page that comes back from the browser's own store must be usable again.
            addEventListener("pagehide", over, { once: true });
            return;
        }
        event.preventDefault();
        send(form, event.submitter).then((stays) => { if (stays) over(); });
    });

    // Words in a box of their own, above what they are about.
    const notice = (tone, role, headline, words) => {
        const box = document.createElement("div"), strong = document.createElement("strong"), text = document.createElement("p");
        box.className = `notice ${tone}`;
        box.setAttribute("role", role);
        box.tabIndex = -1;
        strong.textContent = headline;
        text.textContent = words;
        const inner = document.createElement("div");
        inner.append(strong, text);
        box.append(inner);
        return box;
    };

    // Says in a form what came in its way: what was typed stays, and nothing is sent again by itself.
    const objected = (form, headline, words) => {
        const box = notice("bad", "alert", headline, words);
        const old = form.querySelector(":scope > [data-objected]");
        box.dataset.objected = "";
        if (old) old.replaceWith(box); else form.prepend(box);
        box.focus();
        return true;
    };

    // A window and its form are called what its own title says: there may be another one below it, with a title of the same id.
    let titles = 0;
    const titled = (window_) => {
        const dialog = window_.closest("dialog"), title = window_.querySelector("#window-title");
        if (!dialog || !title) return;
        const called = [dialog, ...window_.querySelectorAll("[aria-labelledby=window-title]")];
        title.id = `window-title-${++titles}`;
        for (const one of called) one.setAttribute("aria-labelledby", title.id);
    };

    // Sends a form and puts its answer in its place. What was typed into secret fields stays in the browser. Says whether the
    // form is still there to be sent.
    const send = async (form, submitter) => {
        const body = new URLSearchParams(new FormData(form, submitter));
        let answer, text;
        try {
            answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers: OURS, credentials: "same-origin" });
            text = await answer.text();
        } catch {
            return objected(form, "The server did not answer", "It is not known whether this was done. Look before you send it again; what you typed stays here.");
        }
        const to = answer.headers.get("x-turnbuckle-location");
        if (to) { location.assign(to); return false; }
        if (answer.status === 401) { location.assign("/sign-in"); return false; }
        const next = parse(text).querySelector("#window");
        const old = form.closest("#window");
        if (!next || !old) return objected(form, "It did not work", `The server answered with status ${answer.status}. What you typed stays here.`);
        if (next.matches("[data-problem]")) {
            const words = [...next.querySelectorAll("p[dir], li, p.quiet")].map((one) => one.textContent.trim());
            return objected(form, next.querySelector("#window-title").textContent, words.join(" "));
        }
        for (const input of old.querySelectorAll("[data-secret]")) {
            const same = next.querySelector(`#${CSS.escape(input.id)}`);
            if (same) same.value = input.value;
        }
        old.replaceWith(next);
        titled(next);
        begin(next);
        (next.querySelector("[role=alert]") || next).focus();
        return false;
    };

    // Windows: a link to a page of its own, shown above the page that it was opened from.
    document.addEventListener("click", async (event) => {
        const close = event.target.closest("dialog [data-close]");
        if (close) { event.preventDefault(); close.closest("dialog").close(); return; }
        const link = event.target.closest("a[data-window]");
        if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
        event.preventDefault();
        try {
            const answer = await fetch(link.href, { headers: OURS, credentials: "same-origin" });
            const window_ = answer.ok && parse(await answer.text()).querySelector("#window");
            if (!window_) throw new Error("no window");
            const dialog = document.createElement("dialog");
            dialog.append(window_);
            titled(window_);
            dialog.addEventListener("close", () => {
                // Told a moment after it is closed: whoever went on meanwhile stays where they are.
                const there = document.activeElement;
                const elsewhere = there && there !== document.body && !dialog.contains(there);
                dialog.remove();
                if (!elsewhere) link.focus();
            });
            document.body.append(dialog);
            begin(dialog);
            dialog.showModal();
        } catch {
            location.assign(link.href);
        }
    });

    // Search as you type: the list of the page that a submit would show.
    const search = (form) => {
        let timer, latest = 0;
        const list = document.getElementById(form.dataset.search);
        if (!list) return;
        const ask = async () => {
            const own = ++latest;
            const url = new URL(form.getAttribute("action"), location.href);
            for (const [name, value] of new FormData(form)) if (value) url.searchParams.append(name, value);
            const answer = await fetch(url, { headers: OURS, credentials: "same-origin" });
            if (own !== latest || !answer.ok) return;
            const next = parse(await answer.text()).getElementById(list.id);
            if (!next) return;
            list.replaceChildren(...next.childNodes);
            history.replaceState(null, "", url);
        };
        form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => ask().catch(() => {}), 150); });
    };

    // Makes one part of the page like another, and touches nothing that is the same already: what has the keyboard, what is
    // chosen or selected, and where somebody scrolled to stay as they are.
    // A form's own properties may be fields of these names.
    const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE && (node.dataset.key || node.getAttribute("id"))) || "";
    const alike = (one, other) => one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
    const OWN = ["open", "hidden", "aria-busy", "data-sent"];
    const become = (old, next) => {
        if (old.nodeType !== Node.ELEMENT_NODE) {
            if (old.data !== next.data) old.data = next.data;
            return;
        }
        // It is being sent, and says so.
        if (old.dataset.sent) return;
        for (const { name } of [...old.attributes]) if (!next.hasAttribute(name) && !OWN.includes(name)) old.removeAttribute(name);
        for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value && !OWN.includes(name)) old.setAttribute(name, value);
        const wanted = [...next.childNodes], keys = new Set(wanted.map(keyOf));
        for (const child of [...old.childNodes]) if (keyOf(child) && !keys.has(keyOf(child))) child.remove();
        let place = old.firstChild;
        for (const want of wanted) {
            let found = place;
            if (keyOf(want)) while (found && !alike(found, want)) found = found.nextSibling;
            if (!found || !alike(found, want)) { old.insertBefore(want, place); continue; }
            // What stands between is nobody's, or comes later: moving that moves nothing that has the keyboard.
            while (place !== found) {
                const passed = place;
                place = place.nextSibling;
                if (keyOf(passed)) old.append(passed); else passed.remove();
            }
            become(found, want);
            place = found.nextSibling;
        }
        while (place) { const last = place; place = place.nextSibling; last.remove(); }
    };

    // What a part says of each thing in it, to be read out where it changes.
    const said = (part) => new Map([...part.querySelectorAll("[data-told]")].map((one) => [one.dataset.key, one.dataset.told]));
    const tell = (lines) => {
        const told = document.getElementById("told");
        if (!told || !lines.length) return;
        const more = lines.length > 3 ? ` And ${lines.length - 3} more.` : "";
        told.textContent = `${lines.slice(0, 3).join(". ")}.${more}`;
    };

    // Pages look again when the server says that something changed, and now and then, because time passes. Looking keeps no
    // session alive, and only a page that is seen looks.
    const parts = [...document.querySelectorAll("[data-live][id]")];
    let stream = null, looking = false, again = false, ended = false;
    const end = (headline, words) => {
        if (ended) return;
        ended = true;
        if (stream) stream.close();
        stream = null;
        const box = notice("warn", "status", headline, words);
        if (words) {
            const link = document.createElement("a");
            link.href = location.href;
            link.textContent = "Sign in";
            box.querySelector("p").append(" ", link);
        }
        document.querySelector("main").prepend(box);
        tell([headline]);
    };
    const look = async () => {
        if (looking) { again = true; return; }
        looking = true;
        try {
            const headers = { ...OURS, "x-turnbuckle-live": "1" };
            const answer = await fetch(location.href, { headers, credentials: "same-origin" });
            if (answer.status === 401) return end("Your session is over", "What stands here is no longer kept up to date.");
            if (answer.status === 404) return end("This is no longer here", "");
            if (!answer.ok) return;
            const page = parse(await answer.text());
            const lines = [];
            for (const part of parts) {
                const next = page.getElementById(part.id);
                if (!next) continue;
                const before = said(part), had = document.activeElement;
                become(part, next);
                if (had !== document.activeElement && !had.isConnected) part.focus({ preventScroll: true });
                for (const [key, words] of said(part)) if (before.get(key) !== words) lines.push(words);
            }
            tell(lines);
        } catch {
            // The server is away; the stream comes back when it does.
        } finally {
            looking = false;
            if (again && !ended) { again = false; look(); }
        }
    };
    const follow = (seen) => {
        if (stream || ended || document.hidden) return;
        const own = stream = new EventSource(`/live?seen=${seen}`);
        own.addEventListener("changed", (event) => { document.querySelector("main").dataset.seen = event.data; look(); });
        own.addEventListener("over", () => end("Your session is over", "What stands here is no longer kept up to date."));
        own.addEventListener("error", () => {
            if (own.readyState !== EventSource.CLOSED || stream !== own) return;
            // It was refused: there are too many, or the session is over. Looking finds out.
            stream = null;
            setTimeout(() => look().then(resume), 15000);
        });
    };
    const resume = () => follow(document.querySelector("main").dataset.seen);
    if (parts.length && document.querySelector("main").dataset.seen) {
        // A browser has few connections to one server: only what is seen holds one.
        const pause = () => { if (stream) stream.close(); stream = null; };
        document.addEventListener("visibilitychange", () => { if (document.hidden) pause(); else resume(); });
        addEventListener("pagehide", pause);
        addEventListener("pageshow", resume);
        setInterval(() => { if (!document.hidden && !ended) look(); }, 60000);
        resume();
    }

    // One box for all boxes of a list.
    document.addEventListener("change", (event) => {
        const all = event.target.closest("input[data-all]");
        if (!all) return;
        for (const box of all.form.querySelectorAll(`input[name="${CSS.escape(all.dataset.all)}"]`)) box.checked = all.checked;
    });

    const begin = (root) => {
        reveal(root);
        for (const all of root.querySelectorAll("input[data-all]")) all.hidden = false;
        for (const form of root.querySelectorAll("form[data-search]")) search(form);
    };
    begin(document);
    const alert = document.querySelector("main [role=alert][tabindex]");
    if (alert) alert.focus();
    for (const menu of document.querySelectorAll("details.who, details.menu")) {
        addEventListener("keydown", (event) => {
            if (event.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); }
        });
        document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
    }
})();
