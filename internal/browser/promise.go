//go:build js && wasm

package browser

import (
	"syscall/js"
)

// Error is what the browser threw, or why a promise was not kept. It holds the name of the exception alone: a message may repeat a name.
type Error struct{ Name string }

func (e *Error) Error() string { return "browser: " + e.Name }

// ErrorOf names what was thrown.
func ErrorOf(thrown js.Value) error {
	name := "Error"
	if thrown.Type() == js.TypeObject {
		if n := thrown.Get("name"); n.Type() == js.TypeString && n.String() != "" {
			name = n.String()
		}
	}
	return &Error{name}
}

// Await waits until a promise is kept. Other goroutines go on meanwhile, and so does the browser.
func Await(promise js.Value) (js.Value, error) {
	type outcome struct {
		value js.Value
		err   error
	}
	done := make(chan outcome, 1)
	kept := js.FuncOf(func(_ js.Value, args []js.Value) any {
		o := outcome{value: js.Undefined()}
		if len(args) > 0 {
			o.value = args[0]
		}
		done <- o
		return nil
	})
	defer kept.Release()
	broken := js.FuncOf(func(_ js.Value, args []js.Value) any {
		o := outcome{err: &Error{"Error"}}
		if len(args) > 0 {
			o.err = ErrorOf(args[0])
		}
		done <- o
		return nil
	})
	defer broken.Release()
	promise.Call("then", kept, broken)
	o := <-done
	return o.value, o.err
}

// Call calls a method; what that throws is an error.
func Call(on js.Value, method string, args ...any) (v js.Value, err error) {
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case js.Error:
			err = ErrorOf(thrown.Value)
		default:
			panic(thrown)
		}
	}()
	return on.Call(method, args...), nil
}

// AwaitCall calls a method that answers with a promise, and waits for that.
func AwaitCall(on js.Value, method string, args ...any) (js.Value, error) {
	promise, err := Call(on, method, args...)
	if err != nil {
		return js.Value{}, err
	}
	return Await(promise)
}

// BytesOf copies what is in a Uint8Array.
func BytesOf(array js.Value) []byte {
	b := make([]byte, array.Get("byteLength").Int())
	js.CopyBytesToGo(b, array)
	return b
}

// BytesTo copies bytes into a new Uint8Array.
func BytesTo(b []byte) js.Value {
	array := js.Global().Get("Uint8Array").New(len(b))
	js.CopyBytesToJS(array, b)
	return array
}
