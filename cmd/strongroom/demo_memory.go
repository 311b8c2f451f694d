package main

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// memoryWatch looks at the memory of processes many times a second, and remembers the most.
type memoryWatch struct {
	mu    sync.Mutex
	names []string
	pids  map[string]int
	most  map[string]int64
	done  chan struct{}
}

func watchMemory() *memoryWatch {
	w := &memoryWatch{pids: map[string]int{}, most: map[string]int64{}, done: make(chan struct{})}
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.done:
				return
			case <-tick.C:
				w.look()
			}
		}
	}()
	return w
}

func (w *memoryWatch) stop() { close(w.done) }

// watch adds a process; a later one of the same name takes its place, and the greater use counts.
func (w *memoryWatch) watch(name string, pid int) {
	w.mu.Lock()
	if _, ok := w.pids[name]; !ok {
		w.names = append(w.names, name)
	}
	w.pids[name] = pid
	w.mu.Unlock()
	w.look()
}

func (w *memoryWatch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, pid := range w.pids {
		if n, ok := memoryOf(pid); ok {
			w.most[name] = max(w.most[name], n)
		}
	}
}

// report says the most that each process used, and refuses more than limit, unless that is 0.
func (w *memoryWatch) report(n *narrator, limit int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var parts []string
	var over error
	for _, name := range w.names {
		most, ok := w.most[name]
		if !ok {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %d MB", name, (most+999_999)/1_000_000))
		if limit > 0 && most > limit {
			over = fmt.Errorf("the process “%s” used %d bytes of memory; %d are allowed", name, most, limit)
		}
	}
	switch {
	case len(parts) > 0:
		n.printf("\nmemory: %s\n", strings.Join(parts, ", "))
	case limit > 0:
		over = fmt.Errorf("memory cannot be measured on this system, but a limit was set")
	}
	return over
}
