package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync"
)

// javascript is a Node.js process that runs node/verify.mjs: one for all questions. It ends with this process, whose end closes its input.
type javascript struct {
	lock      sync.Mutex
	process   *exec.Cmd
	complaint bytes.Buffer
	questions *json.Encoder
	answers   *json.Decoder
}

// question is a receipt, and by what it is to be judged.
type question struct {
	Bundle      string   `json:"bundle"`
	TrustedRoot string   `json:"trustedRoot"`
	Keys        [][]byte `json:"keys"`
	Timestamps  int      `json:"timestamps"`
}

// node starts the process when it is first asked for.
var node = sync.OnceValue(func() *javascript {
	if _, err := os.Stat("node/node_modules/@sigstore/verify"); err != nil {
		panic("@sigstore/verify is not installed. With Node.js 18 or newer: npm ci --prefix scripts/interop/node")
	}
	n := &javascript{process: exec.Command("node", "node/verify.mjs")}
	n.process.Stderr = &n.complaint
	in, err := n.process.StdinPipe()
	if err != nil {
		panic(err)
	}
	out, err := n.process.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := n.process.Start(); err != nil {
		panic(err)
	}
	n.questions, n.answers = json.NewEncoder(in), json.NewDecoder(out)
	return n
})

// judge says why @sigstore/verify refuses, or nil. Where the process gives no answer it panics, for that is no refusal.
func (n *javascript) judge(q question) error {
	n.lock.Lock()
	defer n.lock.Unlock()
	var answer struct {
		Accepted      bool
		Code, Message string
	}
	err := n.questions.Encode(q)
	if err == nil {
		err = n.answers.Decode(&answer)
	}
	if err != nil {
		panic(fmt.Sprintf("node: %v, %v: %s", err, n.process.Wait(), n.complaint.Bytes()))
	}
	if !answer.Accepted {
		return fmt.Errorf("%s: %s", answer.Code, answer.Message)
	}
	return nil
}
