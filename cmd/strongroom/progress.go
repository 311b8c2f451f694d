package main

import (
	"io"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/words"
)

// gauges shows how far long acts are, on standard error, if a person sits there. The zero value and nil show nothing.
type gauges struct {
	pool  *mpb.Progress
	count *mpb.Bar // of files, if there are several
	words *words.Language
}

// longestName is how many characters of a file's name are shown.
const longestName = 20

func (a *app) gauges(files int) *gauges {
	if _, person := terminal(a.err); !person || a.json {
		return nil
	}
	g := &gauges{pool: mpb.New(mpb.WithOutput(a.err), mpb.WithWidth(30)), words: a.words()}
	if files > 1 {
		g.count = g.pool.AddBar(int64(files), mpb.BarPriority(1<<20), mpb.PrependDecorators(decor.Name("Files", decor.WC{W: indent + longestName + 1, C: decor.DindentRight})),
			mpb.AppendDecorators(decor.CountersNoUnit("%d of %d")))
	}
	return g
}

// file returns where a client reports the progress of one file, and what ends it.
func (g *gauges) file(name string) (client.Progress, func()) {
	if g == nil {
		return nil, func() {}
	}
	var mu sync.Mutex
	var now client.Step
	var bar *mpb.Bar
	end := func() {
		if bar != nil {
			bar.Abort(true)
			bar.Wait()
		}
	}
	report := func(step client.Step, done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if step != now {
			end()
			now = step
			bar = g.pool.AddBar(total, mpb.BarRemoveOnComplete(),
				mpb.PrependDecorators(decor.Name(g.words.Code("step", string(step)), decor.WC{W: indent, C: decor.DindentRight}), decor.Name(short(name, longestName), decor.WC{W: longestName + 1, C: decor.DindentRight})),
				mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})))
		}
		bar.SetCurrent(done)
	}
	return report, func() {
		mu.Lock()
		defer mu.Unlock()
		end()
		if g.count != nil {
			g.count.Increment()
		}
	}
}

// above is where lines go that stay on the screen: w itself, unless the display is on the same one.
func (g *gauges) above(w io.Writer) io.Writer {
	if _, screen := terminal(w); g == nil || !screen {
		return w
	}
	return g.pool
}

// wait ends the display.
func (g *gauges) wait() {
	if g == nil {
		return
	}
	if g.count != nil {
		g.count.Abort(false)
	}
	g.pool.Wait()
}

// short cuts a name in its middle, so that its ending stays.
func short(name string, most int) string {
	r := []rune(name)
	if len(r) <= most {
		return name
	}
	return string(r[:most/2]) + "…" + string(r[len(r)-most/2+1:])
}
