//! What is generated from the contract. Nothing here leaves [`super`].

/// What every connector exports.
pub(super) mod plugin {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "connector-plugin",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

/// What a connector with a `signer` imports besides.
pub(super) mod signing {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "signing-connector-plugin",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}
