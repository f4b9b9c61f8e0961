//! A real browser, without a screen: Debian's Chromium, driven by WebDriver. Pages are walked by roles and names, as a screen
//! reader walks them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::Api;
use crate::peer::{Peer, program};

const PATIENCE: Duration = Duration::from_secs(60);
/// How long a page may take to show what is waited for.
const SOON: Duration = Duration::from_secs(20);

/// A running browser. It ends when this is dropped.
#[derive(Debug)]
struct Chromium {
    session: String,
    api: Mutex<Api>,
    // Ends after the session was closed, and before its folder goes.
    _driver: Peer,
    _profile: TempDir,
}

/// One browser for all tests that run at the same time, and one of them at a time.
static SHARED: Mutex<Weak<Chromium>> = Mutex::new(Weak::new());
static TURN: Mutex<()> = Mutex::new(());

/// A browser with nothing in it, for one test.
#[derive(Debug)]
pub struct Window {
    browser: Arc<Chromium>,
    _turn: MutexGuard<'static, ()>,
}

/// Something on a page that has a role and a name.
#[derive(Debug, Clone)]
pub struct Node {
    id: i64,
    /// Its role.
    pub role: String,
    /// Its name, as it is read out.
    pub name: String,
}

impl Chromium {
    fn start() -> Option<Self> {
        let (driver, browser) = (program("chromedriver")?, program("chromium")?);
        let profile = tempfile::Builder::new().prefix("turnbuckle-chromium-").tempdir().expect("a folder");
        let mut command = Command::new(driver);
        command.arg("--port=0").env("HOME", profile.path());
        let driver = Peer::start(&mut command, "started successfully on port", PATIENCE);
        let port: String =
            driver.ready.rsplit("on port").next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        let api = Api::of_peer(&format!("http://127.0.0.1:{port}"));
        // Tests run as root on some machines, where the browser's own sandbox does not start; it sees loopback alone.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ];
        let mut arguments = arguments.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().join("profile").display()));
        let options = json!({"binary": browser, "args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let begun = raw(&api, http::Method::POST, "/session", &wanted);
        let session = begun["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {begun:#}")).to_owned();
        Some(Self { session, api: Mutex::new(api), _driver: driver, _profile: profile })
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let api = self.api.lock().unwrap_or_else(PoisonError::into_inner);
        raw(&api, http::Method::POST, &format!("/session/{}{path}", self.session), body)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let api = self.api.lock().unwrap_or_else(PoisonError::into_inner);
        // Where the browser is gone already there is nothing to close.
        drop(api.attempt(http::Method::DELETE, &format!("/session/{}", self.session), &[], bytes::Bytes::new()));
    }
}

fn raw(api: &Api, method: http::Method, path: &str, body: &Value) -> Value {
    let answer = api.raw(method, path, &[("content-type", "application/json")], body.to_string().into());
    answer.json()["value"].clone()
}

impl Window {
    /// None where this machine has no such browser.
    pub fn open() -> Option<Self> {
        // Who waits for its turn keeps the browser running meanwhile.
        let browser = {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            match shared.upgrade() {
                Some(browser) => browser,
                None => {
                    let browser = Arc::new(Chromium::start()?);
                    *shared = Arc::downgrade(&browser);
                    browser
                }
            }
        };
        let window = Self { browser, _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner) };
        window.cdp("Network.clearBrowserCookies", &json!({}));
        window.cdp("Emulation.setScriptExecutionDisabled", &json!({"value": false}));
        window.goto("about:blank");
        window.look(1280, "light");
        window.complaints();
        Some(window)
    }

    fn cdp(&self, command: &str, parameters: &Value) -> Value {
        self.browser.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Opens a page, and waits until it is loaded.
    pub fn goto(&self, url: &str) {
        self.browser.post("/url", &json!({"url": url}));
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.script("location.href").as_str().unwrap_or_default().to_owned()
    }

    /// Whether pages may run scripts, from the next one on.
    pub fn scripts(&self, run: bool) {
        self.cdp("Emulation.setScriptExecutionDisabled", &json!({"value": !run}));
    }

    /// How wide it is, and whether its person likes it light or dark.
    pub fn look(&self, width: u32, scheme: &str) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.cdp("Emulation.setDeviceMetricsOverride", &size);
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.cdp("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// What an expression says in the page, once it is settled. The policy of the page does not stand against it.
    pub fn script(&self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.cdp("Runtime.evaluate", &asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// Asks again until it is so.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        while begun.elapsed() < SOON {
            if let Some(found) = ask() {
                return found;
            }
            self.browser.post("/execute/async", &json!({"script": "setTimeout(arguments[0], 20)", "args": []}));
        }
        panic!("{what} did not come; at {}:\n{}", self.url(), self.outline());
    }

    /// Everything of this role and name that is there to be used now.
    pub fn all(&self, role: &str, name: &str) -> Vec<Node> {
        self.cdp("DOM.enable", &json!({}));
        let root = self.cdp("DOM.getDocument", &json!({"depth": 0}));
        let mut asked = json!({"nodeId": root["root"]["nodeId"], "role": role});
        if !name.is_empty() {
            asked["accessibleName"] = json!(name);
        }
        let found = self.cdp("Accessibility.queryAXTree", &asked);
        let nodes = found["nodes"].as_array().cloned().unwrap_or_default();
        let seen = nodes.into_iter().filter(|node| node["ignored"] != json!(true));
        let node = |node: Value| Node {
            id: node["backendDOMNodeId"].as_i64().unwrap_or_default(),
            role: node["role"]["value"].as_str().unwrap_or_default().to_owned(),
            name: node["name"]["value"].as_str().unwrap_or_default().to_owned(),
        };
        seen.map(node).collect()
    }

    /// Whether anything of this role and name is there now.
    pub fn has(&self, role: &str, name: &str) -> bool {
        !self.all(role, name).is_empty()
    }

    /// Waits for the one thing of this role and name. Where there are several the last one is meant: a window stands behind the
    /// page that it is above.
    #[track_caller]
    pub fn find(&self, role: &str, name: &str) -> Node {
        self.until(&format!("{role} {name:?}"), || self.all(role, name).pop())
    }

    /// Uses a button or follows a link.
    #[track_caller]
    pub fn click(&self, role: &str, name: &str) {
        let node = self.find(role, name);
        self.on(&node, "function() { this.scrollIntoView({block: 'center'}); this.click(); }");
    }

    /// Follows a link or sends a form, and waits until another page is there.
    #[track_caller]
    pub fn go(&self, role: &str, name: &str) {
        self.script("void (window.before = true)");
        self.click(role, name);
        self.arrived();
    }

    /// Waits until the page that [`Window::go`] left is gone and another one is loaded.
    #[track_caller]
    pub fn arrived(&self) {
        let ready = "!window.before && document.readyState === 'complete'";
        self.until("another page", || (self.script(ready) == json!(true)).then_some(()));
    }

    /// Types over whatever stands in a field.
    #[track_caller]
    pub fn fill(&self, name: &str, text: &str) {
        let node = self.until(&format!("a field {name:?}"), || {
            ["textbox", "searchbox"].iter().find_map(|role| self.all(role, name).pop())
        });
        self.on(&node, "function() { this.focus(); this.select(); }");
        self.press("Delete");
        self.cdp("Input.insertText", &json!({"text": text}));
    }

    /// Chooses in a list.
    #[track_caller]
    pub fn choose(&self, name: &str, value: &str) {
        let node = self.find("combobox", name);
        let script = "function() { this.value = VALUE; this.dispatchEvent(new Event('input', {bubbles: true})); }";
        self.on(&node, &script.replace("VALUE", &json!(value).to_string()));
    }

    /// What stands in a field.
    #[track_caller]
    pub fn value(&self, name: &str) -> String {
        let node = self.until(&format!("a field {name:?}"), || {
            ["textbox", "searchbox", "combobox"].iter().find_map(|role| self.all(role, name).pop())
        });
        self.on(&node, "function() { return this.value; }").as_str().unwrap_or_default().to_owned()
    }

    /// Presses a key.
    pub fn press(&self, key: &str) {
        let code = match key {
            "Escape" => 27,
            "Enter" => 13,
            "Tab" => 9,
            "Delete" => 46,
            other => other.bytes().next().map_or(0, i32::from),
        };
        let text = match key {
            "Enter" => "\r",
            "Escape" | "Tab" | "Delete" => "",
            other => other,
        };
        let down = json!({"type": "keyDown", "key": key, "windowsVirtualKeyCode": code, "text": text});
        self.cdp("Input.dispatchKeyEvent", &down);
        self.cdp("Input.dispatchKeyEvent", &json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code}));
    }

    /// The text of what has the keyboard.
    pub fn focused(&self) -> String {
        self.script("document.activeElement ? (document.activeElement.innerText || document.activeElement.id) : ''")
            .as_str()
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    /// What a person reads on the page.
    pub fn text(&self) -> String {
        self.script("document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Waits for words on the page.
    #[track_caller]
    pub fn reads(&self, words: &str) {
        self.until(&format!("{words:?}"), || self.text().contains(words).then_some(()));
    }

    /// What the browser complained of since it was asked last: refusals by a policy, errors of a script.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.browser.post("/se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let bad = entries.into_iter().filter(|entry| entry["level"] == "SEVERE");
        // An answer that is not good is shown in the page, and the browser notes it besides.
        let own = bad.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned());
        own.filter(|message| !message.contains("the server responded with a status of")).collect()
    }

    /// What stands out of the page to the side, or is cut off inside it.
    pub fn overflow(&self) -> Vec<String> {
        let script = "(() => {
            const wide = innerWidth, out = [];
            for (const one of document.querySelectorAll('body *')) {
                const box = one.getBoundingClientRect();
                if (!box.width || !box.height || one.closest('.scroll, .hidden-words, .skip, .trail')) continue;
                if (box.right > wide + 1 || box.left < -1)
                    out.push(`${one.tagName} ${one.className} ${Math.round(box.left)}..${Math.round(box.right)} of ${wide}: ` + one.textContent.trim().slice(0, 40));
            }
            if (document.documentElement.scrollWidth > wide) out.push('the page scrolls to the side');
            for (const one of document.querySelectorAll('.scroll'))
                if (wide <= 720 && one.scrollWidth > one.clientWidth + 1) out.push('a list scrolls to the side');
            for (const one of document.querySelectorAll('button, .button, h1, h2, h3, label'))
                if (!one.closest('.hidden-words') && !one.classList.contains('hidden-words') && one.clientWidth && one.scrollWidth > one.clientWidth + 1)
                    out.push('cut off: ' + one.textContent.trim().slice(0, 40));
            return out;
        })()";
        let found = self.script(script);
        found.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// What `axe-core` finds serious or critical on the page.
    pub fn barriers(&self, axe: &Path) -> Vec<String> {
        let source = fs::read_to_string(axe).unwrap_or_else(|error| panic!("{}: {error}", axe.display()));
        self.script(&format!("{source}; 0"));
        let script = "axe.run(document, {resultTypes: ['violations']}).then((result) => result.violations
            .filter((one) => ['serious', 'critical'].includes(one.impact))
            .map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html + ' ' + (node.any[0] || {}).message).join(' | ')}`))";
        let found = self.script(script);
        found.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Draws the whole page.
    pub fn draw(&self, file: &Path) {
        let height = self.script("Math.max(document.documentElement.scrollHeight, innerHeight)");
        let width = self.script("innerWidth");
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let drawn = self.cdp("Page.captureScreenshot", &json!({"captureBeyondViewport": true, "clip": clip}));
        let bytes = BASE64_STANDARD.decode(drawn["data"].as_str().unwrap_or_default()).expect("base64");
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder for drawings");
        fs::write(file, bytes).expect("a drawing");
    }

    /// Roles and names on the page, for the words of a failure.
    fn outline(&self) -> String {
        let tree = self.cdp("Accessibility.getFullAXTree", &json!({}));
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        let lines = nodes.iter().filter(|node| node["ignored"] != json!(true)).filter_map(|node| {
            let name = node["name"]["value"].as_str().filter(|name| !name.is_empty())?;
            let role = node["role"]["value"].as_str().filter(|role| *role != "InlineTextBox")?;
            Some(format!("{role} {name:?}"))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn on(&self, node: &Node, function: &str) -> Value {
        let found = self.cdp("DOM.resolveNode", &json!({"backendNodeId": node.id}));
        let called = json!({
            "objectId": found["object"]["objectId"], "functionDeclaration": function, "returnByValue": true,
        });
        self.cdp("Runtime.callFunctionOn", &called)["result"]["value"].clone()
    }
}
