//! Generated from the contract: what every connector is and, each apart so that a component has only what it exports,
//! the optional powers.

wit_bindgen::generate!({
    path: "../../wit",
    world: "connector-plugin",
    pub_export_macro: true,
    export_macro_name: "export_connector",
    default_bindings_module: "turnbuckle_sdk::bindings",
    additional_derives: [PartialEq, Eq],
});

pub mod classifying {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package turnbuckle:classifying;
            world classifying { export turnbuckle:connector/classifier@0.1.0; }
        ",
        world: "turnbuckle:classifying/classifying",
        with: { "turnbuckle:connector/types@0.1.0": crate::bindings::turnbuckle::connector::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_classifier",
        default_bindings_module: "turnbuckle_sdk::bindings::classifying",
        additional_derives: [PartialEq, Eq],
    });
}

pub mod signing {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package turnbuckle:signing;
            world signing {
                import turnbuckle:connector/keys@0.1.0;
                export turnbuckle:connector/signer@0.1.0;
            }
        ",
        world: "turnbuckle:signing/signing",
        with: { "turnbuckle:connector/types@0.1.0": crate::bindings::turnbuckle::connector::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_signer",
        default_bindings_module: "turnbuckle_sdk::bindings::signing",
        additional_derives: [PartialEq, Eq],
    });
}
