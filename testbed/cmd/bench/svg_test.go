// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlot(t *testing.T) {
	p := plot{title: "Memory <of> x & y", xLabel: "seconds", yLabel: "MB"}
	for i := range 60 {
		p.x = append(p.x, float64(i)*4)
		p.y = append(p.y, 150+20*math.Sin(float64(i)/5))
	}
	golden(t, "plot.svg", p.svg())
}

func TestPlotOfFewValuesIsWellFormed(t *testing.T) {
	f := func(p plot) {
		t.Helper()
		text := p.svg()
		require.NotContains(t, text, "NaN")
		require.NotContains(t, text, "Inf")
		d := xml.NewDecoder(strings.NewReader(text))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			require.NoError(t, err)
		}
	}
	f(plot{})
	f(plot{x: series{0}, y: series{0}})
	f(plot{x: series{1}, y: series{5}})
}

func TestTicksAreRoundAndReachTheTop(t *testing.T) {
	f := func(top float64, n int, want series) {
		t.Helper()
		require.InDeltaSlice(t, []float64(want), []float64(ticks(top, n)), 1e-9)
	}
	f(100, 5, series{0, 20, 40, 60, 80, 100})
	f(101, 5, series{0, 50, 100, 150})
	f(0.7, 5, series{0, 0.2, 0.4, 0.6, 0.8})
	f(0, 5, series{0, 0.2, 0.4, 0.6, 0.8, 1})
	f(math.NaN(), 1, series{0, 1})
	require.Equal(t, "0.6", short(3*0.2), "not what floating point adds")
}
