CREATE STREAMING TABLE bronze.logins
AS SELECT * FROM STREAM read_files('landing/logins', format => 'json',
  schema => 'login_id STRING, customer_id BIGINT, logged_in_at TIMESTAMPTZ, device STRING');

CREATE STREAMING TABLE bronze.payments
AS SELECT * FROM STREAM read_files('landing/payments', format => 'json',
  schema => 'payment_id STRING, customer_id BIGINT, paid_at TIMESTAMPTZ, amount DECIMAL(10,2)');

-- Each payment with the logins of the ten minutes before it; a payment without any is put out too, as soon as no login
-- can come any more.
CREATE STREAMING TABLE silver.payments
AS SELECT p.payment_id, p.customer_id, p.paid_at, p.amount, l.login_id, l.device
FROM STREAM bronze.payments WATERMARK paid_at DELAY OF INTERVAL '5 minutes' AS p
LEFT JOIN STREAM bronze.logins WATERMARK logged_in_at DELAY OF INTERVAL '5 minutes' AS l
  ON l.customer_id = p.customer_id
 AND l.logged_in_at BETWEEN p.paid_at - INTERVAL '10 minutes' AND p.paid_at;
