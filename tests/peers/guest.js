// A connector in JavaScript: a service that takes a bearer token, asked by `fetch`.

const parameter = (name, value) => ({ name, value });

/** A field with nothing to say besides what it is. */
const field = (name, label, kind) => ({ name, label, kind: { tag: kind }, required: true });

const failure = (tag, message, val) => ({ kind: val === undefined ? { tag } : { tag, val }, message });

/** What a status says of the connection; nothing where it is a success. */
function judged(status, retryAfter) {
  const message = `the service answered ${status}`;
  switch (status) {
    case 401:
      return failure("unauthorized", message);
    case 403:
      return failure("forbidden", message);
    case 404:
      return failure("misconfigured", message, "test-path");
    case 429: {
      const seconds = /^[0-9]{1,9}$/.test(retryAfter ?? "") ? Number(retryAfter) : undefined;
      return { kind: { tag: "rate-limited", val: seconds }, message };
    }
    default:
      if (status >= 500) return failure("unavailable", message);
      return status >= 200 && status < 300 ? undefined : failure("other", message);
  }
}

export const connector = {
  describe: () => ({
    name: "guest-js",
    label: "Guest in JavaScript",
    version: "1.0.0",
    publisher: "Turnbuckle",
    summary: "A service that takes a bearer token",
    categories: [],
    lifecycle: "beta",
    settings: [field("url", "Base URL", "url"), { ...field("test-path", "Test path", "text"), default: "/" }],
    protocols: [
      { name: "bearer", label: "Bearer token", signIn: "none", fields: [field("token", "Token", "secret")] },
    ],
    origins: ["{url}"],
  }),

  authenticate: () => ({
    derived: [],
    grant: { prepare: [], token: [], refresh: [], revocation: [] },
    placements: [{ tag: "header", val: parameter("Authorization", "Bearer {token}") }],
  }),

  async test({ settings }) {
    const { url, "test-path": path } = Object.fromEntries(settings);
    let answer;
    try {
      answer = await fetch(url.replace(/\/+$/, "") + path);
    } catch (error) {
      throw failure("unavailable", `no answer from the service: ${error.message}`);
    }
    const wrong = judged(answer.status, answer.headers.get("retry-after"));
    if (wrong) throw wrong;
    const { login } = await answer.json().catch(() => ({}));
    return {
      message: `The service answered ${answer.status} to GET ${path}`,
      account: login === undefined ? undefined : { id: String(login), label: String(login) },
      discovered: [],
    };
  },
};
