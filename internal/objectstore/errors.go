// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"syscall"

	"github.com/minio/minio-go/v7"
)

// ErrFull is returned, wrapped, where a local disk has no room for the object. It may go away by itself, and nothing of the
// object is left there.
var ErrFull = errors.New("the disk is full")

// IsPermanent says whether an error of a Store looks like one that trying again will not mend: a bucket that is not there, a
// denied access, a refused encryption, a wrong certificate, a directory without write permission. Somebody has to change a
// configuration or a right; whoever has data to store says so loudly and goes on trying, since then it goes through.
// All else (the network, throttling, a server's failure, a full disk, a missing key) is not permanent.
func IsPermanent(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNotExist) {
		return false
	}
	if errors.Is(err, ErrKey) || errors.Is(err, errSource) {
		return true
	}
	var response minio.ErrorResponse
	if errors.As(err, &response) {
		return isPermanentResponse(response)
	}
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	if errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &record) || errors.As(err, &alert) ||
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") { // net/http has no type for it
		return true
	}
	for _, e := range []error{
		fs.ErrPermission, fs.ErrExist, syscall.EROFS, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP, syscall.ENAMETOOLONG,
		syscall.EFBIG, syscall.EINVAL, errEscapes,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Codes that say otherwise than their status, which is 4xx for what the client has to change and 5xx for what the server has.
var (
	retryableCodes = map[string]bool{
		"ExpiredToken": true, "ExpiredTokenException": true, "TokenRefreshRequired": true, // the next credentials are fetched
		"RequestTimeout": true, "SlowDown": true, "Throttling": true, "ThrottlingException": true, "RequestLimitExceeded": true,
		"RequestThrottled": true, "TooManyRequests": true, "OperationAborted": true, "ConditionalRequestConflict": true,
		"IncompleteBody": true, "BadDigest": true, "XAmzContentSHA256Mismatch": true, // damaged on the way
		"NoSuchKey": true, "NoSuchVersion": true, "NoSuchUpload": true, "InvalidPart": true, "PreconditionFailed": true, "InvalidRange": true,
	}
	permanentCodes = map[string]bool{
		"NoSuchBucket": true, "InvalidBucketName": true, "AccessDenied": true, "AllAccessDisabled": true, "InvalidAccessKeyId": true,
		"SignatureDoesNotMatch": true, "AuthorizationHeaderMalformed": true, "InvalidRegion": true, "PermanentRedirect": true,
		"InvalidEncryptionAlgorithmError": true, "InvalidStorageClass": true, "NotImplemented": true, "ServerSideEncryptionConfigurationNotFoundError": true,
	}
)

func isPermanentResponse(r minio.ErrorResponse) bool {
	switch {
	case retryableCodes[r.Code]:
		return false
	case permanentCodes[r.Code], strings.HasPrefix(strings.ToLower(r.Code), "kms"):
		return true
	}
	switch r.StatusCode {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusPreconditionFailed,
		http.StatusTooEarly, http.StatusTooManyRequests, 499:
		return false
	case http.StatusMovedPermanently, http.StatusNotImplemented:
		return true
	}
	return r.StatusCode >= 400 && r.StatusCode < 500
}

// errSource is what Put returns, wrapped, for a file that it cannot read: nothing of the store is wrong.
var errSource = errors.New("the file to store cannot be read")

// errEscapes stands for the error, without a name of its own, of os.Root.
var errEscapes = errors.New("a symbolic link leads out of the store's directory")

// localError gives an error of the disk a name that callers know.
func localError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: free space or wait until older files are gone: %w", ErrFull, err)
	case strings.Contains(err.Error(), "path escapes from parent"):
		return fmt.Errorf("%w: %w", errEscapes, err)
	}
	return err
}

// responseError adds the code by which an S3 error is looked up, and names a key that is not there. It hides the io.EOF of a
// connection, which a reader would take for the object's.
func responseError(err error) error {
	var r minio.ErrorResponse
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &r):
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: %v", errCut, err) //nolint:errorlint // to hide it is the purpose
		}
		return err
	case r.Code == minio.NoSuchKey || r.Code == minio.NoSuchVersion:
		return fmt.Errorf("%w: %w", ErrNotExist, err)
	case r.Code == "" || strings.Contains(r.Error(), r.Code):
		return err
	}
	return fmt.Errorf("%w (%s)", err, r.Code)
}
