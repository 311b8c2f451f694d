//go:build js && wasm

package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall/js"
	"time"

	"strongroom.example/strongroom/internal/browser"
)

// fetcher is a client.Doer: it sends requests to the page's own vault through the browser, nowhere else, along no redirect, and with nothing of
// the browser's own that would say who asks. Whose certificate it is the browser has judged, for the page came from there.
//
// It takes the place of net/http's way to do that, which holds the body of a request twice, does not end an answer whose context ends, and
// would bring a whole TLS along that is never spoken.
type fetcher struct{}

// answerTime bounds how long the vault may take before it begins to answer, as in package client.
const answerTime = 5 * time.Minute

// errNetwork says that the vault was not reached, or its answer broke off. Why, the browser does not say.
var errNetwork = errors.New("the vault cannot be reached")

func (fetcher) Do(req *http.Request) (*http.Response, error) {
	headers := js.Global().Get("Headers").New()
	for name, values := range req.Header {
		for _, v := range values {
			headers.Call("append", name, v)
		}
	}
	ending := js.Global().Get("AbortController").New()
	abort := func() { ending.Call("abort") }
	options := map[string]any{
		"method": req.Method, "headers": headers, "signal": ending.Get("signal"),
		"mode": "same-origin", "credentials": "omit", "redirect": "error", "cache": "no-store", "referrerPolicy": "no-referrer",
	}
	if req.Body != nil && req.Body != http.NoBody {
		body, err := bodyOf(req)
		if err != nil {
			return nil, err
		}
		options["body"] = body
	}
	unhook := context.AfterFunc(req.Context(), abort)
	late := time.AfterFunc(answerTime, abort)
	answer, err := browser.AwaitCall(js.Global(), "fetch", req.URL.String(), options)
	late.Stop()
	if err != nil {
		unhook()
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		if !js.Global().Get("navigator").Get("onLine").Bool() { // to try again at once is of no use
			return nil, &net.OpError{Op: "dial", Err: errNetwork}
		}
		return nil, errNetwork
	}
	resp := &http.Response{StatusCode: answer.Get("status").Int(), Header: make(http.Header), ContentLength: -1, Request: req, Body: http.NoBody}
	each := js.FuncOf(func(_ js.Value, args []js.Value) any { resp.Header.Add(args[1].String(), args[0].String()); return nil })
	answer.Get("headers").Call("forEach", each)
	each.Release()
	if stream := answer.Get("body"); stream.Truthy() {
		resp.Body = &arriving{ctx: req.Context(), reader: stream.Call("getReader"), unhook: unhook}
	} else {
		unhook()
	}
	return resp, nil
}

// maxPage bounds the single file, in bytes: four times what it is.
const maxPage = 16 << 20

// page is the verifier as one page, from where this program came from. A vault whose build has none gives none.
func page(ctx context.Context) ([]byte, error) {
	address := js.Global().Get("URL").New("/VERIFY.html", js.Global().Get("location").Get("href")).Get("href").String()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := fetcher{}.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return io.ReadAll(http.MaxBytesReader(nil, resp.Body, maxPage))
	case http.StatusNotFound:
		return nil, nil
	}
	return nil, errNetwork
}

// bodyOf brings a request's body to the browser's side piece by piece. It is bounded by who sends it: a part of an upload at most.
func bodyOf(req *http.Request) (js.Value, error) {
	defer req.Body.Close()
	var file gathered
	if _, err := io.Copy(&file, req.Body); err != nil {
		return js.Value{}, err
	}
	if file.size != req.ContentLength && req.ContentLength > 0 {
		return js.Value{}, io.ErrUnexpectedEOF
	}
	return file.blob(), nil
}

// arriving is the body of an answer, as it comes.
type arriving struct {
	ctx    context.Context
	reader js.Value
	unhook func() bool
	array  js.Value // what came and was not read yet
	at     int
	err    error
}

func (a *arriving) Read(p []byte) (int, error) {
	for len(p) > 0 && a.err == nil && (!a.array.Truthy() || a.at == a.array.Get("byteLength").Int()) {
		next, err := browser.AwaitCall(a.reader, "read")
		switch {
		case a.ctx.Err() != nil:
			a.err = a.ctx.Err()
		case err != nil:
			a.err = errNetwork
		case next.Get("done").Bool():
			a.err = io.EOF
		default:
			a.array, a.at = next.Get("value"), 0
		}
	}
	if a.err != nil || len(p) == 0 {
		return 0, a.err
	}
	n := js.CopyBytesToGo(p, a.array.Call("subarray", a.at, min(a.at+len(p), a.array.Get("byteLength").Int())))
	a.at += n
	return n, nil
}

func (a *arriving) Close() error {
	if a.err == nil {
		a.err = http.ErrBodyReadAfterClose
	}
	a.unhook()
	browser.AwaitCall(a.reader, "cancel") // what is not wanted any more needs no answer
	return nil
}

// origin is where this program came from, and the only place that it speaks to.
func origin() string { return js.Global().Get("location").Get("origin").String() }
