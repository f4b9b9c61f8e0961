//! From a type that implements [`Connector`](crate::Connector) to the exports of a component.

/// Makes a type the connector of this component. Natively, as in `cargo test`, it only checks that the type fits.
#[macro_export]
macro_rules! export {
    ($connector:ty) => {
        const _: () = {
            struct Exported;

            impl $crate::bindings::exports::turnbuckle::connector::connector::Guest for Exported {
                fn describe() -> $crate::Descriptor {
                    $crate::log_panics();
                    <$connector as $crate::Connector>::describe()
                }

                fn authenticate(connection: $crate::Connection) -> Result<$crate::Authentication, $crate::Failure> {
                    $crate::log_panics();
                    <$connector as $crate::Connector>::authenticate(&connection)
                }

                fn test(connection: $crate::Connection) -> Result<$crate::Report, $crate::Failure> {
                    $crate::log_panics();
                    <$connector as $crate::Connector>::test(&connection)
                }
            }

            #[cfg(target_family = "wasm")]
    $crate::bindings::export_connector!(Exported with_types_in $crate::bindings);
        };
    };
}

/// A panic's own words are the last ones in the log, on one line: that is the line that the host shows.
#[doc(hidden)]
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        use std::io::Write as _;
        let words = panic.payload_as_str().unwrap_or("it panicked").replace('\n', " ");
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        // Without a log there is nobody to tell.
        drop(writeln!(std::io::stderr(), "{words}{place}"));
    }));
}
