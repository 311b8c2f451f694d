package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is what the figures were taken on.
type machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Memory int64   `json:"memory_mib"`
	Disk   string  `json:"disk"`            // device and file system of the folder that is measured in
	Sync   float64 `json:"fsync_median_ms"` // of 4 KiB appended
	Go     string  `json:"go"`
	Load   string  `json:"load_average"`
}

func describe(dir string) machine {
	m := machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Disk: disk(dir), Go: runtime.Version(), Load: loadAverage(), Sync: syncTime(dir)}
	if name := field("/proc/cpuinfo", "model name"); name != "" {
		m.CPU = name
	}
	if kib, err := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.Memory = kib >> 10
	}
	return m
}

func (m machine) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %d cores, %d MiB, %s, fsync %s ms, %s, load average %s\n", m.CPU, m.Cores, m.Memory, m.Disk, number(m.Sync), m.Go, m.Load)
}

// field finds the value of a line "name : value".
func field(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// disk is the mount whose path is the longest above dir.
func disk(dir string) string {
	dir, _ = filepath.Abs(dir)
	mounts, _ := os.ReadFile("/proc/mounts")
	found, longest := "unknown disk", -1
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 3 || len(f[1]) <= longest || f[1] != "/" && dir != f[1] && !strings.HasPrefix(dir, f[1]+"/") {
			continue
		}
		found, longest = f[0]+" "+f[2], len(f[1])
	}
	return found
}

// syncTime is how long an fsync takes, in milliseconds.
func syncTime(dir string) float64 {
	f, err := os.CreateTemp(dir, "fsync")
	if err != nil {
		return 0
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []time.Duration
	for range 50 {
		f.Write(make([]byte, 4096))
		begun := time.Now()
		f.Sync()
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return float64(median(took).Microseconds()) / 1000
}

func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(b))
	return strings.Join(f[:min(3, len(f))], " ")
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
