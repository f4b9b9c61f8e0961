;; An Extism plug-in whose `get` makes the request that it is given and answers with its body.
(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "http_request" (func $http_request (param i64 i64) (result i64)))
  (import "extism:host/env" "http_status_code" (func $http_status_code (result i32)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "get") (result i32)
    (local $answer i64)
    (local.set $answer (call $http_request (call $input_offset) (i64.const 0)))
    (call $output_set (local.get $answer) (call $length (local.get $answer)))
    (i32.ne (call $http_status_code) (i32.const 200))))
