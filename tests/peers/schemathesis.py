"""What schemathesis can't write by itself: a body that claims to be a component."""

import schemathesis


@schemathesis.serializer("application/wasm")
def component(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode()
