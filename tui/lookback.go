package tui

import "time"

// nextWindow looks back over another time.
func (d *desk) nextWindow() {
	choices := windows()
	for i, w := range choices {
		if w == d.windowQuery.Window {
			d.setWindow(choices[(i+1)%len(choices)])
			return
		}
	}
	d.setWindow(choices[0])
}

func (d *desk) setWindow(w time.Duration) {
	d.windowQuery.Window = w
	d.books.window.spoil()
}

// windows are the times that can be looked back over: what the gateway keeps in
// memory.
func windows() []time.Duration {
	return []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
}
