-- A merge of two contacts moves what belongs to the one that goes. Without these it reads all turns of all companies, and
-- all contacts of the company, while a message waits for it.
create index turn_contact on turn (contact_id);
create index contact_merged on contact (merged_into) where merged_into is not null;
