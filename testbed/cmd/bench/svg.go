// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// plot is a line over time.
type plot struct {
	title, xLabel, yLabel string
	x, y                  series // of the same length
}

const (
	plotWidth, plotHeight                      = 800.0, 320.0
	plotLeft, plotRight, plotTop, plotBottom   = 64.0, 16.0, 40.0, 48.0
	plotInk, plotGrid, plotLine, plotFontStack = "#333", "#ddd", "#1f6feb", "system-ui, sans-serif"
)

// svg draws the plot. Both axes begin at 0, so that a slope is as steep as it is.
func (p *plot) svg() string {
	xs, ys := ticks(maxOf(p.x), 8), ticks(maxOf(p.y), 5)
	xTop, yTop := xs[len(xs)-1], ys[len(ys)-1]
	atX := func(v float64) float64 { return plotLeft + v/xTop*(plotWidth-plotLeft-plotRight) }
	atY := func(v float64) float64 { return plotHeight - plotBottom - v/yTop*(plotHeight-plotTop-plotBottom) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" font-family="%s" font-size="12" fill="%s" role="img">`+"\n",
		plotWidth, plotHeight, plotWidth, plotHeight, plotFontStack, plotInk)
	fmt.Fprintf(&b, `<title>%s</title>`+"\n", escaped(p.title))
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="#fff"/>`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<text x="%g" y="22" font-size="14" font-weight="600">%s</text>`+"\n", plotLeft, escaped(p.title))
	for _, v := range ys {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", plotLeft, atY(v), plotWidth-plotRight, atY(v), plotGrid)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft-8, atY(v)+4, short(v))
	}
	for _, v := range xs {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", atX(v), atY(0), atX(v), atY(0)+5, plotInk)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", atX(v), atY(0)+18, short(v))
	}
	fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", plotLeft, atY(0), plotWidth-plotRight, atY(0), plotInk)
	fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", (plotLeft+plotWidth-plotRight)/2, plotHeight-10, escaped(p.xLabel))
	middle := (plotTop + plotHeight - plotBottom) / 2
	fmt.Fprintf(&b, `<text x="16" y="%.1f" text-anchor="middle" transform="rotate(-90 16 %.1f)">%s</text>`+"\n", middle, middle, escaped(p.yLabel))
	b.WriteString(`<polyline fill="none" stroke="` + plotLine + `" stroke-width="1.5" stroke-linejoin="round" points="`)
	for i := range min(len(p.x), len(p.y)) {
		if i > 0 {
			b.WriteString(" ")
		}
		fmt.Fprintf(&b, "%.1f,%.1f", atX(p.x[i]), atY(p.y[i]))
	}
	b.WriteString(`"/>` + "\n</svg>\n")
	return b.String()
}

// ticks returns about n round numbers from 0 to the first that is not below top.
func ticks(top float64, n int) series {
	if !(top > 0) || math.IsInf(top, 0) {
		top = 1
	}
	raw := top / float64(n)
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if step*m >= raw {
			step *= m
			break
		}
	}
	out := series{0}
	for i := 1; out[len(out)-1] < top; i++ {
		out = append(out, float64(i)*step)
	}
	return out
}

func maxOf(s series) float64 {
	top := 0.0
	for _, v := range s {
		top = max(top, v)
	}
	return top
}

// short writes a tick: 12 digits hide what floating point adds.
func short(v float64) string { return strconv.FormatFloat(v, 'g', 12, 64) }

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
