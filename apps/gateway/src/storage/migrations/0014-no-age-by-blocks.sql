-- Once freed space is used again, an index of the moments by blocks points everywhere. What is old in the first two of
-- these tables is found by reading a part of them each hour, and in the third by its id.
drop index journal_age;
drop index sent_plaintext_age;
drop index webhook_delivery_age;
