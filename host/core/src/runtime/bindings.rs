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

/// What a connector may export and import besides.
pub(super) mod besides {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package turnbuckle:host;
            world besides {
                import turnbuckle:connector/keys@0.1.0;
                export turnbuckle:connector/signer@0.1.0;
                export turnbuckle:connector/classifier@0.1.0;
            }
        ",
        world: "turnbuckle:host/besides",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "turnbuckle:connector/types": super::plugin::turnbuckle::connector::types,
            "turnbuckle:connector/keys.key": crate::runtime::sandbox::Held,
        },
    });
}
