// SPDX-License-Identifier: Apache-2.0

package miniotest

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
)

func TestMinIOKeepsWhatItAcknowledgedAcrossKillStopAndPause(t *testing.T) {
	f := func(options Options) {
		t.Helper()
		s := Start(t, options)
		s.CreateBucket("lake")
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		put := func() {
			_, err := s.Client().PutObject(ctx, "lake", "a", strings.NewReader("content"), 7, minio.PutObjectOptions{})
			require.NoError(t, err)
		}
		has := func() {
			o, err := s.Client().GetObject(ctx, "lake", "a", minio.GetObjectOptions{})
			require.NoError(t, err)
			got, err := io.ReadAll(o)
			require.NoError(t, err)
			require.Equal(t, "content", string(got))
		}
		put()
		pid := s.PID()
		s.Kill()
		_, err := s.Client().ListBuckets(ctx)
		require.ErrorContains(t, err, "refused")
		s.Restart()
		require.NotEqual(t, pid, s.PID())
		has()

		s.Pause()
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		_, err = s.Client().ListBuckets(short)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		s.Resume()
		has()

		s.Stop()
		s.Restart()
		has()
	}
	f(Options{})
	f(Options{TLS: true, KMS: true})
}
