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
        if (form.dataset.busy) button.textContent = form.dataset.busy;
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
        if (form.method !== "post") return;
        const over = busy(form, event.submitter || form.querySelector("button:not([type=button])"));
        if (!form.matches("[data-keep]")) {
            // A page that comes back from the browser's own store must be usable again.
            addEventListener("pagehide", over, { once: true });
            return;
        }
        event.preventDefault();
        send(form, event.submitter).catch(() => { over(); form.removeAttribute("data-keep"); form.requestSubmit(); });
    });

    // Sends a form and puts its answer in its place. What was typed into secret fields stays in the browser.
    const send = async (form, submitter) => {
        const body = new URLSearchParams(new FormData(form, submitter));
        const answer = await fetch(form.action, { method: "POST", body, headers: OURS, credentials: "same-origin" });
        const to = answer.headers.get("x-turnbuckle-location");
        if (to) { location.assign(to); return; }
        if (answer.status === 401) { location.assign("/sign-in"); return; }
        const next = parse(await answer.text()).querySelector("#window");
        const old = form.closest("#window");
        if (!next || !old) throw new Error("another page");
        for (const input of old.querySelectorAll("[data-secret]")) {
            const same = next.querySelector(`#${CSS.escape(input.id)}`);
            if (same) same.value = input.value;
        }
        old.replaceWith(next);
        begin(next);
        (next.querySelector("[role=alert]") || next).focus();
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
            dialog.setAttribute("aria-labelledby", "window-title");
            dialog.append(window_);
            dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
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
            const url = new URL(form.action);
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

    // Rows that change by themselves, while somebody looks. Looking keeps no session alive.
    const live = (part) => {
        const seconds = Number(part.dataset.live);
        const again = async () => {
            if (!document.hidden && !document.querySelector("dialog[open]") && !part.contains(document.activeElement) && !part.querySelector(":checked")) {
                const headers = { ...OURS, "x-turnbuckle-live": "1" };
                const answer = await fetch(location.href, { headers, credentials: "same-origin" });
                if (answer.status === 401) return;
                const next = answer.ok && parse(await answer.text()).getElementById(part.id);
                if (next && next.innerHTML !== part.innerHTML) part.innerHTML = next.innerHTML;
            }
            setTimeout(() => again().catch(() => {}), seconds * 1000);
        };
        setTimeout(() => again().catch(() => {}), seconds * 1000);
    };

    const begin = (root) => {
        reveal(root);
        for (const form of root.querySelectorAll("form[data-search]")) search(form);
    };
    begin(document);
    for (const part of document.querySelectorAll("[data-live][id]")) live(part);
    const alert = document.querySelector("main [role=alert][tabindex]");
    if (alert) alert.focus();
    for (const menu of document.querySelectorAll("details.who, details.menu")) {
        addEventListener("keydown", (event) => {
            if (event.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); }
        });
        document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
    }
})();
